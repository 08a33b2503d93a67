import { z } from 'zod';
import { evaluationFact } from '../../catalog/evaluations.js';
import { jobRequest } from '../../models/request.js';
import { adaMergingValues, evaluationValues, statisticsValues } from '../../models/task.js';
import { runFields } from './run.js';

const ended = {
  backend: z.string().describe('What TensorFlow.js ran on: `tensorflow` (the native library), `wasm` or `cpu`.'),
  finished_at: z.iso.datetime(),
  seconds: z.number(),
};

export const jobView = z
  .object({
    id: z.string(),
    ...runFields,
    request: jobRequest,
    result: z
      .union([evaluationValues.extend(ended), statisticsValues.extend(ended), adaMergingValues.extend(ended)])
      .optional(),
  })
  .meta({ id: 'Job' });
export type JobView = z.output<typeof jobView>;

export const evaluationView = evaluationFact.meta({ id: 'Evaluation' });
