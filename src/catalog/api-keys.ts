import { z } from 'zod';
import { EmrError } from '../errors.js';
import { NAMESPACE_PATTERN } from '../names.js';
import { KEY_SCOPES } from '../scopes.js';
import type { Store } from '../store/types.js';
import { API_KEY_ID_PATTERN, newKey } from './api-key-secret.js';
import { readFact, writeFact } from './facts.js';
import { apiKeyKeys } from './keys.js';

/** A line of a listing. */
export const MAX_KEY_NAME = 200;

/** What a key may use up; what is absent has the server's own limit, or none. */
const keyLimits = z.object({
  /** Requests in a minute. */
  requests_per_minute: z.int().min(1).optional(),
  /** Bytes that its namespace may hold. */
  stored_bytes: z.int().min(0).optional(),
  /** Merges and jobs of its namespace that have not ended. */
  running: z.int().min(1).optional(),
});
export type KeyLimits = z.output<typeof keyLimits>;

const keyFact = z.object({
  id: z.string().regex(API_KEY_ID_PATTERN),
  namespace: z.string().regex(NAMESPACE_PATTERN),
  scope: z.enum(KEY_SCOPES),
  /** For people: whose it is, or what for. */
  name: z.string().max(MAX_KEY_NAME).optional(),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime().optional(),
  limits: keyLimits,
  secret: z.object({ salt: z.string(), hash: z.string() }),
});
const revokedFact = z.object({ revoked_at: z.iso.datetime() });

/** A key as it is stored: all but the key itself. */
export type ApiKey = z.output<typeof keyFact> & { readonly revoked_at?: string };
export type NewApiKey = Pick<ApiKey, 'namespace' | 'scope' | 'name' | 'expires_at' | 'limits'>;

/** Keys of the API, as facts in the store like everything else: whoever has the bucket has them, as hashes. */
export interface ApiKeys {
  /** The stored key, and the whole one, which is said this once. */
  create(options: NewApiKey): Promise<{ record: ApiKey; key: string }>;
  find(id: string): Promise<ApiKey | undefined>;
  /** Every one, revoked and expired ones too, in order of id. */
  list(): AsyncIterable<ApiKey>;
  /** False if it was revoked before; `unknown_key`. */
  revoke(id: string): Promise<boolean>;
  /** Whether there ever was one: a store whose keys are all revoked is not open to everybody again. */
  any(): Promise<boolean>;
}

export function createApiKeys(store: Store, now: () => number): ApiKeys {
  const timestamp = () => new Date(now()).toISOString();

  const find = async (id: string): Promise<ApiKey | undefined> => {
    const [fact, revoked] = await Promise.all([
      readFact(store, apiKeyKeys.record(id), keyFact),
      readFact(store, apiKeyKeys.revoked(id), revokedFact),
    ]);
    return fact && { ...fact, ...revoked };
  };

  return {
    find,

    async create(options) {
      const { id, key, secret } = newKey();
      const record = keyFact.parse({ ...options, id, created_at: timestamp(), secret });
      if (!(await writeFact(store, apiKeyKeys.record(id), record)))
        throw new Error('Two keys have the same random id.');
      return { record, key };
    },

    async *list() {
      for await (const { prefixes } of store.list(apiKeyKeys.all, { delimiter: true })) {
        for (const prefix of prefixes) {
          const found = await find(prefix.slice(apiKeyKeys.all.length, -1));
          if (found) yield found;
        }
      }
    },

    async revoke(id) {
      if (!(await find(id))) throw new EmrError('unknown_key', `There is no key with the id ${id}.`, { key: id });
      return writeFact(store, apiKeyKeys.revoked(id), { revoked_at: timestamp() });
    },

    async any() {
      for await (const { prefixes } of store.list(apiKeyKeys.all, { delimiter: true })) {
        if (prefixes.length > 0) return true;
      }
      return false;
    },
  };
}
