import type { JobRequest } from '../request.js';
import { adaMergingJob } from './adamerging.js';
import { evaluateJob } from './evaluate.js';
import { fisherJob, gramJob } from './statistics.js';
import type { JobType } from './types.js';

const TYPES: Record<JobRequest['type'], JobType> = {
  adamerging: adaMergingJob as unknown as JobType,
  evaluate: evaluateJob as unknown as JobType,
  fisher: fisherJob as unknown as JobType,
  gram: gramJob as unknown as JobType,
};

export function jobTypeOf({ type }: JobRequest): JobType {
  return TYPES[type];
}
