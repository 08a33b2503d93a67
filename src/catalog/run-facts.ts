/** How a merge or a job ends when it does not succeed, as schemas. */
import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../errors.js';

export const errorFact = z.object({
  // While some processes are newer than others they may meet a code that they do not know.
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]).catch('internal'),
  detail: z.string(),
  facts: z.record(z.string(), z.unknown()),
  failed_at: z.string(),
});
export type ErrorFact = z.output<typeof errorFact>;

export const cancelledFact = z.object({ cancelled_at: z.string() });

export const removingFact = z.object({ removing_at: z.string() });
