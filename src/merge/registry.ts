import { z } from 'zod';
import { average } from './methods/average.js';
import { emr } from './methods/emr.js';
import { taskArithmetic } from './methods/task-arithmetic.js';
import type { Method } from './methods/types.js';

/** The parameters of any method, told apart by `type`. */
export const methodParams = z.discriminatedUnion('type', [emr.params, average.params, taskArithmetic.params]);
export type MethodParams = z.output<typeof methodParams>;

const METHODS: Record<MethodParams['type'], Method> = {
  emr: emr as unknown as Method,
  average: average as unknown as Method,
  task_arithmetic: taskArithmetic as unknown as Method,
};

export function methodOf(params: MethodParams): Method {
  return METHODS[params.type];
}

/** Every method as users see it: its name, title, paper and the JSON schema of its parameters. */
export function describeMethods() {
  return Object.entries(METHODS).map(([type, { title, paper, output, params }]) => ({
    type,
    title,
    paper,
    output,
    parameters: z.toJSONSchema(params, { io: 'input' }),
  }));
}
