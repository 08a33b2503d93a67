import type { JobRequest } from '../request.js';
import { evaluateJob } from './evaluate.js';
import type { JobType } from './types.js';

const TYPES: Record<JobRequest['type'], JobType> = {
  evaluate: evaluateJob as unknown as JobType,
};

export function jobTypeOf({ type }: JobRequest): JobType {
  return TYPES[type];
}
