/** The facts of a merge, as schemas. Its state follows from which of them exist. */
import { z } from 'zod';
import { mergeRequest } from '../merge/request.js';

/** request.json: the merge is accepted. `digests` are those of its inputs, which every attempt checks. */
export const requestFact = z.object({
  id: z.string(),
  created_at: z.string(),
  request: mergeRequest,
  digests: z.object({ base: z.string(), tasks: z.array(z.string()), statistics: z.array(z.string()).optional() }),
});
export type RequestFact = z.output<typeof requestFact>;

/** result.json: the commit record, written last. It alone says which attempt counts. */
export const resultFact = z.object({
  attempt: z.string(),
  finished_at: z.string(),
  seconds: z.number(),
  artifacts: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })),
});
export type ResultFact = z.output<typeof resultFact>;
