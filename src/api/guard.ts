import { createHash, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { matchesSecret, parseKey } from '../catalog/api-key-secret.js';
import type { ApiKey, ApiKeys, KeyLimits } from '../catalog/api-keys.js';
import { DEFAULT_NAMESPACE } from '../names.js';
import type { Access } from '../scopes.js';

/**
 * How long a server goes by what it has read of a key, hence the longest that a revoked one is still taken. A look at the
 * store for every request would cost S3 two requests for each of ours.
 */
export const KEY_CACHE_MS = 5_000;

/** Keys in use at a time; the least recently used are read again. */
const CACHED_KEYS = 1_000;

/** Whoever sent the key, and what its limits are. */
export interface Admitted extends Access {
  readonly limits: KeyLimits;
  /** Whether there is a key to count requests of. */
  readonly counted: boolean;
}

export interface Guard {
  /** Who sends this Authorization header; `undefined` for nobody we know. */
  admit(authorization: string | undefined): Promise<Admitted | undefined>;
}

export interface GuardOptions {
  /** From the environment: each may do everything in the namespace `default`. */
  readonly environmentKeys: readonly string[];
  readonly stored: Pick<ApiKeys, 'find' | 'any'>;
  readonly now: () => number;
  /** Whether everybody may be admitted as long as there is no key: of a server that other machines do not reach. */
  readonly mayBeOpen: boolean;
}

const digest = (text: string) => createHash('sha256').update(text).digest();
const ALL = { namespace: DEFAULT_NAMESPACE, scope: 'admin', limits: {}, counted: true } as const;

/** Knows keys. Where there are none at all, and never were, everybody is admitted to a server that may be open. */
export function createGuard({ environmentKeys, stored, now, mayBeOpen }: GuardOptions): Guard {
  const known = environmentKeys.map(digest);
  // For as long as the process lives: a store whose keys are no longer to be seen has lost them, or is not mounted.
  let isClosed = !mayBeOpen || known.length > 0;
  const perf = { now };
  const found = new LRUCache<string, { key: ApiKey | undefined }>({
    max: CACHED_KEYS,
    ttl: KEY_CACHE_MS,
    perf,
    fetchMethod: async (id) => ({ key: await stored.find(id) }),
  });
  const anyStored = new LRUCache<'any', { any: boolean }>({
    max: 1,
    ttl: KEY_CACHE_MS,
    perf,
    fetchMethod: async () => ({ any: await stored.any() }),
  });
  const isOpen = async () => {
    if (!isClosed) isClosed = (await anyStored.fetch('any'))!.any;
    return !isClosed;
  };

  /** Digests have one length, so that the comparison takes the same time whatever was sent. */
  const fromEnvironment = (given: string): Admitted | undefined => {
    const sent = digest(given);
    const index = known.map((one) => timingSafeEqual(one, sent)).indexOf(true);
    return index < 0 ? undefined : { ...ALL, key: `environment-${index + 1}` };
  };

  const fromStore = async (given: string): Promise<Admitted | undefined> => {
    const parts = parseKey(given);
    const key = parts && (await found.fetch(parts.id))?.key;
    if (key) isClosed = true;
    if (!key || !matchesSecret(parts.secret, key.secret) || key.revoked_at !== undefined) return undefined;
    if (key.expires_at !== undefined && Date.parse(key.expires_at) <= now()) return undefined;
    return { key: key.id, namespace: key.namespace, scope: key.scope, limits: key.limits, counted: true };
  };

  return {
    async admit(authorization) {
      const [scheme, given] = (authorization ?? '').split(' ');
      if (scheme?.toLowerCase() === 'bearer' && given) {
        const admitted = fromEnvironment(given) ?? (await fromStore(given));
        if (admitted) return admitted;
      }
      return (await isOpen()) ? { ...ALL, key: 'none', counted: false } : undefined;
    },
  };
}
