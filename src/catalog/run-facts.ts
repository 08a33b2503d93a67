/** How a merge or a job ends when it does not succeed, as schemas. */
import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../errors.js';

export const errorFact = z.object({
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
  detail: z.string(),
  facts: z.record(z.string(), z.unknown()),
  failed_at: z.string(),
});
export type ErrorFact = z.output<typeof errorFact>;

export const cancelledFact = z.object({ cancelled_at: z.string() });

export const removingFact = z.object({ removing_at: z.string() });
