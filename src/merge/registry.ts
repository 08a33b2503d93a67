import { z } from 'zod';
import { adamerging } from './methods/adamerging.js';
import { average } from './methods/average.js';
import { ofTask } from './methods/by-task.js';
import { dare } from './methods/dare.js';
import { emr } from './methods/emr.js';
import { fisher } from './methods/fisher.js';
import { regmean } from './methods/regmean.js';
import { taskArithmetic } from './methods/task-arithmetic.js';
import { ties } from './methods/ties.js';
import type { Method } from './methods/types.js';

/** The parameters of any method, told apart by `type`. */
export const methodParams = z.discriminatedUnion('type', [
  emr.params,
  average.params,
  taskArithmetic.params,
  ties.params,
  dare.params,
  fisher.params,
  regmean.params,
  adamerging.params,
]);
export type MethodParams = z.output<typeof methodParams>;

const METHODS: Record<MethodParams['type'], Method> = {
  emr: emr as unknown as Method,
  average: average as unknown as Method,
  task_arithmetic: taskArithmetic as unknown as Method,
  ties: ties as unknown as Method,
  dare: dare as unknown as Method,
  fisher: fisher as unknown as Method,
  regmean: regmean as unknown as Method,
  adamerging: adamerging as unknown as Method,
};

export const METHOD_TYPES = Object.keys(METHODS) as [MethodParams['type'], ...MethodParams['type'][]];

export function methodOf(params: MethodParams): Method {
  return METHODS[params.type];
}

/** The checkpoints of statistics that a request names, in the order of its tasks; undefined if its method reads none. */
export function statisticsOf({
  method,
  tasks,
}: {
  readonly method: MethodParams;
  readonly tasks: readonly { readonly name: string }[];
}): (string | undefined)[] | undefined {
  const wanted = methodOf(method).statistics?.(method);
  return wanted && tasks.map(({ name }) => ofTask(wanted.of, name));
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
