/** The facts of a job, as schemas: as those of a merge, its state follows from which of them exist. */
import { z } from 'zod';
import { jobRequest } from '../models/request.js';

/** request.json: the job is accepted. `digests` are those of the checkpoints that it reads, by name. */
export const jobFact = z.object({
  id: z.string(),
  created_at: z.string(),
  request: jobRequest,
  digests: z.record(z.string(), z.string()),
});
export type JobFact = z.output<typeof jobFact>;

/** result.json, written last. */
export const jobResult = z.looseObject({ backend: z.string(), finished_at: z.string(), seconds: z.number() });
export type JobResult = z.output<typeof jobResult>;
