import type { ApiKeys } from './catalog/api-keys.js';
import type { Config } from './config.js';

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** Whether only its own machine reaches a server that listens on `host`. */
export const isLoopback = (host: string) => LOOPBACK.has(host);

/** Whoever reaches a server without keys can do everything: then it may listen to its own machine only. Throws if not. */
export async function requireKeys(
  { host, apiKeys }: Pick<Config, 'host' | 'apiKeys'>,
  stored: Pick<ApiKeys, 'any'>,
): Promise<void> {
  if (isLoopback(host) || apiKeys.length > 0 || (await stored.any())) return;
  throw new Error(
    `HOST=${host} is reachable from other machines: make a key (emr keys create), set EMR_API_KEYS, or bind to 127.0.0.1.`,
  );
}
