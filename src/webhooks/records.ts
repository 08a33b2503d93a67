/** What the store knows of a merge's webhooks: who is to be told, and every attempt. Each is a fact, written once. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { readFact, writeFact } from '../catalog/facts.js';
import { keys } from '../catalog/keys.js';
import type { Store } from '../store/types.js';

const askedFact = z.object({ url: z.string(), asked_at: z.string() });

const attemptFact = z.object({
  at: z.string(),
  state: z.enum(['delivered', 'pending', 'failed']),
  /** What the receiver answered, if it did. */
  status: z.number().optional(),
  /** Why there was no answer. */
  error: z.string().optional(),
  next_attempt_at: z.string().optional(),
});
export type AttemptFact = z.output<typeof attemptFact>;

/** How far the telling of one end has come. */
export interface Delivery {
  readonly attempts: number;
  /** The latest attempt; undefined before the first. */
  readonly last: AttemptFact | undefined;
}

export interface WebhookRecords {
  /** Ids of the merge's webhooks, in no order. */
  list(namespace: string, merge: string): Promise<string[]>;
  /** The id that a URL has at every merge. */
  idOf(url: string): string;
  /** Twice the same is once. */
  add(namespace: string, merge: string, url: string, at: string): Promise<void>;
  urlOf(namespace: string, merge: string, webhook: string): Promise<string | undefined>;
  delivery(namespace: string, merge: string, webhook: string, delivery: string): Promise<Delivery>;
  /** Attempts are counted from 1. Of two at the same time, one is written down. */
  note(
    namespace: string,
    merge: string,
    webhook: string,
    delivery: string,
    n: number,
    fact: AttemptFact,
  ): Promise<void>;
  /** Marks as still to be told; the mark is no fact, and goes again. */
  mark(namespace: string, merge: string, webhook: string): Promise<void>;
  unmark(namespace: string, merge: string, webhook: string): Promise<void>;
  /** Removes every mark of a merge that is gone. */
  forget(namespace: string, merge: string): Promise<void>;
  /** Merges with marks. */
  marked(namespace: string): AsyncIterable<string>;
}

export function createWebhookRecords(store: Store): WebhookRecords {
  /** Names of what lies directly below a prefix: folders with their `/`. */
  const below = async (prefix: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const { prefixes, objects } of store.list(prefix, { delimiter: true })) {
      found.push(...prefixes, ...objects.map(({ key }) => key));
    }
    return found.map((key) => key.slice(prefix.length));
  };
  const idOf = (url: string) => createHash('sha256').update(url).digest('hex').slice(0, 32);

  return {
    idOf,
    list: async (ns, merge) => (await below(keys.webhooks(ns, merge))).map((name) => name.replace('/', '')),

    async add(ns, merge, url, at) {
      await writeFact(store, keys.webhook(ns, merge, idOf(url)), { url, asked_at: at });
    },

    urlOf: async (ns, merge, webhook) => (await readFact(store, keys.webhook(ns, merge, webhook), askedFact))?.url,

    async delivery(ns, merge, webhook, delivery) {
      const names = await below(keys.webhookAttempts(ns, merge, webhook, delivery));
      const attempts = Math.max(0, ...names.map((name) => Number.parseInt(name, 10)));
      if (attempts === 0) return { attempts, last: undefined };
      const key = keys.webhookAttempt(ns, merge, webhook, delivery, attempts);
      return { attempts, last: await readFact(store, key, attemptFact) };
    },

    async note(ns, merge, webhook, delivery, n, fact) {
      await writeFact(store, keys.webhookAttempt(ns, merge, webhook, delivery, n), fact);
    },

    async mark(ns, merge, webhook) {
      await writeFact(store, keys.waitingWebhook(ns, merge, webhook), {});
    },
    unmark: (ns, merge, webhook) => store.delete(keys.waitingWebhook(ns, merge, webhook)),

    forget: (ns, merge) => store.deletePrefix(keys.waitingWebhooksOf(ns, merge)),

    async *marked(ns) {
      for (const folder of await below(keys.waitingWebhooks(ns))) yield folder.replace('/', '');
    },
  };
}
