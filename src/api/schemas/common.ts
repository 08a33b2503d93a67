import { z } from 'zod';
import { MERGE_ID_PATTERN, NAME_PATTERN } from '../../names.js';

export const name = z.string().regex(NAME_PATTERN);
export const idOrName = z.string().regex(NAME_PATTERN).describe('The id of a merge, or its name.');
export const batchId = z.string().regex(MERGE_ID_PATTERN);
export const jobId = z.string().regex(MERGE_ID_PATTERN);

const DEFAULT_PAGE = 50;
/** A page is read from the store object by object. */
const MAX_PAGE = 500;

export const page = z.strictObject({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: z.string().max(300).optional().describe('`next_cursor` of the page before.'),
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
