import type { RequestFact } from '../catalog/merge-facts.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { type EmrError, toEmrError } from '../errors.js';
import type { Outbound } from '../outbound/outbound.js';
import { type JobHandler, TryLater } from '../queue/types.js';
import { deliveryId, endOf, type MergeEnd, payloadOf } from './end.js';
import type { AttemptFact, WebhookRecords } from './records.js';
import { signatureHeaders } from './signature.js';
import { readWebhookJob } from './webhooks.js';

/** Each wait is so much longer than the one before: eight tries, from 5 s on, take seven and a half hours. */
const WAIT_FACTOR = 4;
/** The receiver is gone for good, as the specification says it. */
const GONE = 410;

export interface DeliverOptions {
  readonly records: WebhookRecords;
  readonly merges: Pick<MergeCatalog, 'find' | 'outcome'>;
  readonly outbound: Outbound;
  readonly secrets: readonly Buffer[];
  /** Tries in all. */
  readonly attempts: number;
  readonly waitMs: number;
  readonly now: () => number;
  readonly onAttempt: (merge: string, attempt: AttemptFact) => void;
}

/**
 * Tells one receiver of one end of a merge. How far that has come is in the store and not in the queue: a job that is
 * handed out twice, or again by a queue that lost its data, goes on where the last attempt that was written down ended.
 */
export function createWebhookHandler(options: DeliverOptions): JobHandler {
  const { records, merges, now } = options;
  return async (job, { signal }) => {
    const { namespace } = job;
    const { merge, webhook, delivery } = readWebhookJob(job);
    const fact = await merges.find(namespace, merge);
    const end = fact && endOf(await merges.outcome(namespace, merge));
    // Deleted, or run again since: of that run's end others will tell.
    if (fact === undefined || end === undefined || deliveryId(namespace, merge, webhook, end) !== delivery) return;
    const url = await records.urlOf(namespace, merge, webhook);
    if (url === undefined) return;

    const { attempts, last } = await records.delivery(namespace, merge, webhook, delivery);
    const next = Date.parse(last?.next_attempt_at ?? '');
    if (next > now()) throw new TryLater(next);
    if (last === undefined || last.state === 'pending') {
      const n = attempts + 1;
      const attempt = await tryOnce(options, { namespace, url, delivery, fact, end, n, signal });
      await records.note(namespace, merge, webhook, delivery, n, attempt);
      options.onAttempt(merge, attempt);
      if (attempt.next_attempt_at !== undefined) throw new TryLater(Date.parse(attempt.next_attempt_at));
    }
    await records.unmark(namespace, merge, webhook);
    // Run again in this moment, it is to be told of again: its mark may have been the one that was removed.
    if (endOf(await merges.outcome(namespace, merge))?.at !== end.at) await records.mark(namespace, merge, webhook);
  };
}

interface Try {
  readonly namespace: string;
  readonly url: string;
  readonly delivery: string;
  readonly fact: RequestFact;
  readonly end: MergeEnd;
  readonly n: number;
  readonly signal: AbortSignal;
}

async function tryOnce(options: DeliverOptions, what: Try): Promise<AttemptFact> {
  const { url, delivery, fact, end, n, signal } = what;
  const { outbound, secrets, now } = options;
  const started = now();
  const at = new Date(started).toISOString();
  const body = payloadOf(what.namespace, fact, end);
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'emr-merge',
    ...signatureHeaders(secrets, delivery, started, body),
  };
  const wait = options.waitMs * WAIT_FACTOR ** (n - 1);
  const isLast = n >= options.attempts;
  const again = () =>
    isLast
      ? ({ state: 'failed' } as const)
      : ({ state: 'pending', next_attempt_at: new Date(now() + wait).toISOString() } as const);
  try {
    // Its head says all that there is to know.
    const call = { method: 'POST', headers, body: Buffer.from(body), maxBytes: 0, signal };
    const { status } = await outbound.call(url, call);
    if (status >= 200 && status < 300) return { at, status, state: 'delivered' };
    return { at, status, ...(status === GONE ? { state: 'failed' as const } : again()) };
  } catch (cause) {
    if (signal.aborted) throw cause;
    const error = toEmrError(cause);
    // What is not allowed stays so until the operator allows it: nobody is asked again and again.
    if (error.code !== 'outbound_failed') return { at, error: error.code, state: 'failed' };
    return { at, error: reasonOf(error), ...again() };
  }
}

const reasonOf = ({ code, facts: { reason } }: EmrError): string => (typeof reason === 'string' ? reason : code);
