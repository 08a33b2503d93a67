/** Keys for tests, made in the store of a server that runs, as `emr keys create` would. */
import { type ApiKeys, createApiKeys, type NewApiKey } from '../../src/catalog/api-keys.js';
import { openStore } from '../../src/store/open.js';

export async function apiKeysIn(root: string): Promise<ApiKeys> {
  return createApiKeys(await openStore({ kind: 'file', root }), Date.now);
}

/** The whole key, as a header. */
export async function bearer(apiKeys: ApiKeys, options: Partial<NewApiKey> = {}): Promise<Record<string, string>> {
  const { key } = await apiKeys.create({ namespace: 'default', scope: 'admin', limits: {}, ...options });
  return { authorization: `Bearer ${key}` };
}
