import type { MergeCatalog, Outcome } from '../catalog/merges.js';
import { EmrError } from '../errors.js';
import type { Outbound } from '../outbound/outbound.js';
import type { Job, WorkQueue } from '../queue/types.js';
import { deliveryId, endOf } from './end.js';
import type { AttemptFact, WebhookRecords } from './records.js';

/** Of one merge: whoever asks for the same merge may want to be told, and each costs calls. */
const MAX_WEBHOOKS = 8;

/** A webhook as the API shows it: of its address only the host, since path and query may be a secret of the receiver. */
export interface WebhookState {
  readonly host: string;
  readonly state: AttemptFact['state'];
  readonly attempts: number;
  /** The id that every attempt has; once the merge has ended. */
  readonly delivery?: string;
  readonly last_attempt_at?: string;
  readonly last_status?: number;
  readonly last_error?: string;
  readonly next_attempt_at?: string;
}

/**
 * Who is told of a merge's end. That a URL is to be called is a fact of the merge, and so is every attempt; the queue has
 * only ids. A merge that failed and is run again has another end, of which all are told again.
 */
export interface Webhooks {
  /** Refuses what can be known before a merge is accepted: `webhooks_disabled`, `outbound_not_allowed`, `invalid_request`. */
  check(url: string): void;
  /** `too_many_webhooks` if the merge, should it be there already, has no room for this one. */
  checkRoom(namespace: string, merge: string, url: string): Promise<void>;
  /** After a merge was accepted: its webhooks, with this one, will be told of its end; at once if it has ended. */
  expect(namespace: string, merge: string, url?: string): Promise<void>;
  /** Queues what is to be told of a merge that has ended, and is not queued. */
  follow(namespace: string, merge: string): Promise<number>;
  /** The same for every merge of which something is to be told: after a restart, or when the queue lost its jobs. */
  reconcile(namespace: string): Promise<number>;
  view(namespace: string, merge: string, outcome: Outcome): Promise<WebhookState[]>;
}

export interface WebhooksOptions {
  readonly records: WebhookRecords;
  readonly merges: Pick<MergeCatalog, 'find' | 'outcome'>;
  readonly queue: WorkQueue;
  readonly outbound: Pick<Outbound, 'check'>;
  /** Whether there is a secret to sign with. */
  readonly enabled: boolean;
  readonly now: () => number;
  /** What is written down and could not be queued; the reconciler will do it. */
  readonly onQueueError: (error: unknown) => void;
}

export function createWebhooks(options: WebhooksOptions): Webhooks {
  const { records, merges, queue, outbound, enabled, now, onQueueError } = options;

  const follow = async (namespace: string, merge: string): Promise<number> => {
    const webhooks = await records.list(namespace, merge);
    if (webhooks.length === 0) return 0;
    const end = endOf(await merges.outcome(namespace, merge));
    if (end === undefined) return 0;
    let queued = 0;
    for (const webhook of webhooks) {
      const delivery = deliveryId(namespace, merge, webhook, end);
      const { last } = await records.delivery(namespace, merge, webhook, delivery);
      if (last !== undefined && last.state !== 'pending') {
        await records.unmark(namespace, merge, webhook);
        continue;
      }
      const job = webhookJob(namespace, { merge, webhook, delivery });
      if (await queue.status(job)) continue;
      await queue.enqueue(job);
      queued += 1;
    }
    return queued;
  };

  const requireRoom = (merge: string, known: ReadonlySet<string>, url: string) => {
    if (known.size < MAX_WEBHOOKS || known.has(records.idOf(url))) return;
    throw new EmrError('too_many_webhooks', `A merge has at most ${MAX_WEBHOOKS} webhooks.`, { merge });
  };

  return {
    follow,

    check(url) {
      if (!enabled) {
        throw new EmrError('webhooks_disabled', 'The operator of this server has set no secret to sign webhooks with.');
      }
      outbound.check(url);
    },

    async checkRoom(namespace, merge, url) {
      requireRoom(merge, new Set(await records.list(namespace, merge)), url);
    },

    async expect(namespace, merge, url) {
      const known = new Set(await records.list(namespace, merge));
      if (url !== undefined && !known.has(records.idOf(url))) {
        requireRoom(merge, known, url);
        await records.add(namespace, merge, url, new Date(now()).toISOString());
        known.add(records.idOf(url));
      }
      if (known.size === 0) return;
      for (const webhook of known) await records.mark(namespace, merge, webhook);
      await follow(namespace, merge).catch(onQueueError);
    },

    async reconcile(namespace) {
      let queued = 0;
      for await (const merge of records.marked(namespace)) {
        if (await merges.find(namespace, merge)) queued += await follow(namespace, merge);
        else await records.forget(namespace, merge);
      }
      return queued;
    },

    async view(namespace, merge, outcome) {
      const webhooks = await records.list(namespace, merge);
      const end = endOf(outcome);
      const views = webhooks.toSorted().map(async (webhook): Promise<WebhookState[]> => {
        const url = await records.urlOf(namespace, merge, webhook);
        if (url === undefined) return []; // deleted meanwhile, with its merge
        const { host } = new URL(url);
        if (end === undefined) return [{ host, state: 'pending', attempts: 0 }];
        const delivery = deliveryId(namespace, merge, webhook, end);
        const { attempts, last } = await records.delivery(namespace, merge, webhook, delivery);
        return [{ host, state: 'pending', delivery, attempts, ...(last && viewAttempt(last)) }];
      });
      return (await Promise.all(views)).flat();
    },
  };
}

function viewAttempt({ state, at, status, error, next_attempt_at }: AttemptFact) {
  return {
    state,
    last_attempt_at: at,
    ...(status === undefined ? {} : { last_status: status }),
    ...(error === undefined ? {} : { last_error: error }),
    ...(next_attempt_at === undefined ? {} : { next_attempt_at }),
  };
}

export interface WebhookJob {
  readonly merge: string;
  readonly webhook: string;
  readonly delivery: string;
}

/** A job for each end: one that waits for its next try must not stand for the end of the merge's next run. */
export function webhookJob(namespace: string, { merge, webhook, delivery }: WebhookJob): Job {
  return { kind: 'webhook', namespace, id: `${merge}.${webhook}.${delivery}` };
}

export function readWebhookJob({ id }: Job): WebhookJob {
  const [merge = '', webhook = '', delivery = ''] = id.split('.');
  return { merge, webhook, delivery };
}
