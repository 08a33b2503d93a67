import { z } from 'zod';
import { MERGE_ID_PATTERN, NAME_PATTERN } from '../../names.js';

export const name = z.string().regex(NAME_PATTERN);
export const idOrName = z.string().regex(NAME_PATTERN).describe('The id of a merge, or its name.');
export const batchId = z.string().regex(MERGE_ID_PATTERN);
export const jobId = z.string().regex(MERGE_ID_PATTERN);

const DEFAULT_PAGE = 50;
/** A page is read from the store object by object. */
export const MAX_PAGE = 500;

const pageOf = <C extends z.ZodType>(cursor: C) =>
  z.strictObject({
    limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
    cursor: cursor.optional().describe('`next_cursor` of the page before.'),
  });

/** Of checkpoints, which come in order of name. */
export const pageByName = pageOf(name);

/** Of merges and jobs, which come newest first: the time and id of the last one. */
export const pageByTime = pageOf(
  z.string().regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z_[0-9a-f]{32}$/),
);

/** One event of a stream of them, for the docs: streams pass the serializer by. */
export const runEvent = z.object({
  event: z.enum(['progress', 'succeeded', 'failed', 'cancelled']),
  data: z.string().describe('The same as a GET answers, as JSON.'),
});

export const listOf = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), next_cursor: z.string().optional() });

/** RFC 9457. */
export const problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().describe('Stable; docs/errors.md lists all.'),
    retry: z.boolean().describe('Whether the same call may succeed later.'),
  })
  .meta({ id: 'Problem' });

/** The refusals that a route documents; each is a problem. */
export const refusals = <const S extends number>(...statuses: S[]) =>
  Object.fromEntries(
    statuses.map((status) => [
      status,
      { description: 'A refusal.', content: { 'application/problem+json': { schema: problem } } },
    ]),
  ) as Record<S, { description: string; content: { 'application/problem+json': { schema: typeof problem } } }>;

export const nothing = z.undefined().describe('No body.');
