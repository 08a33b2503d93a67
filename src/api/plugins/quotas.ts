import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { StoredBytes } from '../../catalog/stored-bytes.js';
import { EmrError } from '../../errors.js';
import { plannedFiles } from '../../merge/plan.js';
import type { MergeRequest } from '../../merge/request.js';
import type { Submitter } from '../../merge/submit.js';
import type { WorkQueue } from '../../queue/types.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route takes of a key's quotas: bytes that are sent, one job, or merges and what they will write. */
    takes?: 'upload' | 'job' | ((body: unknown) => TakenMerges);
  }
  interface FastifyRequest {
    /** Gives back what was set aside for the request. */
    giveBack: (() => void)[] | null;
  }
}

export interface TakenMerges {
  readonly merges: readonly MergeRequest[];
  /** These, and the jobs that evaluate them. */
  readonly runs: number;
}

export interface QuotaOptions {
  readonly queue: Pick<WorkQueue, 'counts'>;
  readonly submitter: Pick<Submitter, 'plan' | 'requireBatch'>;
  readonly storedBytes: StoredBytes;
}

/** Holds keys to their quotas. What a request takes is set aside until it is answered, so that two cannot take the same. */
export const quotas = fp<QuotaOptions>(
  async (app, { queue, submitter, storedBytes }) => {
    const runs = createReservations();
    const bytes = createReservations();
    app.decorateRequest('giveBack', null);

    app.addHook('preHandler', async (request) => {
      const { takes } = request.routeOptions.config;
      if (takes === undefined || request.access === null) return;
      const { limits, namespace } = request.access;
      const { merges, runs: asked } = typeof takes === 'function' ? takes(request.body) : { merges: [], runs: 1 };
      request.giveBack = [];
      if (limits.running !== undefined && takes !== 'upload') {
        requireEver(limits.running, asked);
        request.giveBack.push(runs.take(namespace, asked));
        const { waiting, active } = await queue.counts(namespace);
        requireRuns(limits.running, waiting + active, runs.of(namespace));
      }
      if (limits.stored_bytes !== undefined) {
        const size = takes === 'upload' ? lengthOf(request) : await outputOf(submitter, namespace, merges);
        request.giveBack.push(bytes.take(namespace, size));
        requireBytes(limits.stored_bytes, await storedBytes.of(namespace), bytes.of(namespace));
      }
    });

    app.onRequestEnd(({ access, method, giveBack }) => {
      if (access !== null && method !== 'GET' && method !== 'HEAD') storedBytes.changed(access.namespace);
      for (const give of giveBack ?? []) give();
    });
  },
  { name: 'quotas', dependencies: ['auth', 'request-end'] },
);

function createReservations() {
  const taken = new Map<string, number>();
  const of = (namespace: string) => taken.get(namespace) ?? 0;
  const add = (namespace: string, n: number) => {
    const sum = of(namespace) + n;
    if (sum === 0) taken.delete(namespace);
    else taken.set(namespace, sum);
  };
  return {
    of,
    take(namespace: string, n: number): () => void {
      add(namespace, n);
      return () => add(namespace, -n);
    },
  };
}

/** To come again does not help who asks for more than the key may have at all. */
function requireEver(limit: number, asked: number): void {
  if (asked <= limit) return;
  const detail = `${asked} merges and jobs are asked for at once; the key may have ${limit} that have not ended. Ask for fewer at a time.`;
  throw new EmrError('too_large', detail, { limit, asked });
}

function requireRuns(limit: number, running: number, asked: number): void {
  if (running + asked <= limit) return;
  throw new EmrError('too_many_running', `The key may have ${limit} merges and jobs that have not ended.`, {
    limit,
    running,
    asked,
  });
}

function requireBytes(limit: number, stored: number, asked: number): void {
  if (stored + asked <= limit) return;
  throw new EmrError('quota_exceeded', `The key's namespace may hold ${limit} bytes, and holds ${stored}.`, {
    limit,
    stored,
    asked,
  });
}

/** Of the body; a form is a little longer than its files. */
function lengthOf({ headers }: FastifyRequest): number {
  const length = headers['content-length'];
  if (length !== undefined) return Number(length);
  throw new EmrError('length_required', 'The key has a quota of bytes: send the Content-Length of what you upload.');
}

/** What the merges will write. Those that cannot be planned are refused by their route. */
async function outputOf(submitter: QuotaOptions['submitter'], namespace: string, merges: readonly MergeRequest[]) {
  if (merges.length > 1) await submitter.requireBatch(namespace, merges);
  let bytes = 0;
  for (const merge of merges) {
    const plan = await submitter.plan(namespace, merge).catch((error: unknown) => {
      if (error instanceof EmrError && !error.retry) return undefined;
      throw error;
    });
    if (plan) bytes += plannedFiles(plan).reduce((sum, file) => sum + file.bytes, 0);
  }
  return bytes;
}
