import { z } from 'zod';
import { firstMatch, globPattern } from '../globs.js';
import { byTask, limitedRecord } from '../limited-record.js';
import { coefficient, ofTask, strangers } from './by-task.js';
import { defineMethod } from './types.js';

/** As many as layers of Task Arithmetic. */
const MAX_PATTERNS = 10_000;

const perTensor = limitedRecord(MAX_PATTERNS, globPattern, coefficient);

type Coefficients = number | Readonly<Record<string, number>>;

export const adamerging = defineMethod({
  title: 'AdaMerging: coefficients that were learned without labels',
  paper: 'https://arxiv.org/abs/2310.02575',
  output: 'model',
  params: z.strictObject({
    type: z.literal('adamerging'),
    coefficients: byTask(z.union([coefficient, perTensor])).describe(
      'For each task by name one coefficient, or one for each tensor by its name or a pattern: a name counts before patterns, of which the first that matches counts.',
    ),
    trimmed: z
      .strictObject({ density: z.number().positive().max(1).default(0.2) })
      .optional()
      .describe(
        'AdaMerging++: task vectors are trimmed, and what is against the elected sign is left out, as in TIES.',
      ),
  }),
  check({ coefficients }, { tasks }, tensors) {
    const problems = strangers('coefficients', coefficients, tasks);
    for (const task of tasks) {
      const own = ofTask(coefficients, task);
      if (own === undefined) problems.push(`coefficients lacks task ${task}`);
      else {
        const find = coefficientOf(own);
        const open = tensors.filter(({ name }) => find(name) === undefined);
        const more = open.length > 1 ? ` and ${open.length - 1} more` : '';
        if (open[0]) problems.push(`coefficients of ${task} have none for tensor ${open[0].name}${more}`);
      }
    }
    return problems;
  },
  /** W_pre + Σ λ_t·τ_t. */
  program({ coefficients, trimmed }, { tasks }) {
    const finders = tasks.map((task) => coefficientOf(ofTask(coefficients, task) ?? {}));
    return ({ name }) => {
      const lambdas = finders.map((find) => find(name) ?? 0);
      if (trimmed === undefined) return { kind: 'linear', of: 'task_vectors', coefficients: lambdas, divisor: 1 };
      return {
        kind: 'rule',
        trim: { scope: 'model', keeps: 'official', density: trimmed.density },
        merge: { kind: 'ties', weights: lambdas, weighted: 'after', zero: 'majority', per: 'none', lambda: 1 },
      };
    };
  },
});

/** A task's coefficient of each tensor, by its name or by the first pattern that matches. */
function coefficientOf(of: Coefficients): (tensor: string) => number | undefined {
  if (typeof of === 'number') return () => of;
  const values = Object.values(of);
  const find = firstMatch(Object.keys(of));
  return (tensor) => ofTask(of, tensor) ?? values[find(tensor)];
}
