/** The end of a merge, as its receivers are told of it. */
import { createHash } from 'node:crypto';
import type { RequestFact } from '../catalog/merge-facts.js';
import type { Outcome } from '../catalog/merges.js';
import type { ErrorCode } from '../errors.js';

export interface MergeEnd {
  readonly state: 'succeeded' | 'failed' | 'cancelled';
  /** ISO 8601. A merge that failed and is run again has another end. */
  readonly at: string;
  readonly code?: ErrorCode;
}

/** undefined: it has not ended. */
export function endOf(outcome: Outcome): MergeEnd | undefined {
  if (outcome.state === 'succeeded') return { state: 'succeeded', at: outcome.result.finished_at };
  if (outcome.state === 'failed') return { state: 'failed', at: outcome.error.failed_at, code: outcome.error.code };
  if (outcome.state === 'cancelled') return { state: 'cancelled', at: outcome.cancelled_at };
  return undefined;
}

/** The same for every attempt to tell one receiver of one end: by it he knows what he has seen already. */
export function deliveryId(namespace: string, merge: string, webhook: string, { state, at }: MergeEnd): string {
  const text = [namespace, merge, webhook, state, at].join('\n');
  return `msg_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

/** What is sent: the same bytes at every attempt. Links are paths of this API, whose address the receiver knows. */
export function payloadOf(namespace: string, { id, request: { name } }: RequestFact, end: MergeEnd): string {
  const { state, at, code } = end;
  const self = `/v1/merges/${id}`;
  const results = state === 'succeeded' ? { report: `${self}/report`, files: `${self}/files` } : {};
  return JSON.stringify({
    type: `merge.${state}`,
    timestamp: at,
    data: {
      namespace,
      id,
      ...(name === undefined ? {} : { name }),
      state,
      ...(code === undefined ? {} : { error: { code } }),
      links: { self, ...results },
    },
  });
}
