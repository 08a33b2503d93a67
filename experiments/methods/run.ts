import { type Context, type Setting, suiteOf } from '../context.js';
import { mean } from '../maths/statistics.js';
import { mergeTasks } from '../service/merging.js';
import { NotOffered } from '../service/types.js';
import type { SuiteTask } from '../suites/types.js';
import type { Candidate, Entry } from './catalogue.js';
import { completeMethod, jobSettings } from './statistics.js';

/** One row of the comparison, for one seed. */
export interface EntryResult {
  readonly name: string;
  readonly uses: Entry['uses'];
  /** Mean accuracy on validation images of every setting; absent where there is one setting only. */
  readonly sweep?: readonly { readonly setting: string; readonly accuracy: number }[];
  /** The setting that was picked. */
  readonly setting: string;
  /** Accuracy on test images, by task. */
  readonly accuracies: Readonly<Record<string, number>>;
}

/** A method that the service does not offer. */
export interface NotRun {
  readonly name: string;
  readonly notRun: string;
}

/** Raised when methods or how they are measured change: then what is in the cache does not count. */
const VERSION = 1;

/** Mean accuracy over those of the tasks that have such images. */
async function measure(
  context: Context,
  setting: Setting,
  candidate: Candidate,
  split: 'validation' | 'test',
  tasks: readonly SuiteTask[],
) {
  const merge = await mergeTasks(context, setting, tasks, candidate.method);
  const evaluator = context.evaluator(setting.architecture);
  const accuracies: Record<string, number> = {};
  for (const task of tasks) {
    if (split === 'validation' && !task.validation) continue;
    const weights = await context.session.taskWeights(merge, task.name, candidate.rendering);
    accuracies[task.name] = (await evaluator.accuracy(task, split, weights))!;
  }
  return accuracies;
}

/** Picks a setting by validation images, where there are several, and measures it on test images. */
export async function runEntry(
  context: Context,
  setting: Setting,
  entry: Entry,
  tasks = suiteOf(setting).tasks,
): Promise<EntryResult | NotRun> {
  const { name, uses, job } = entry;
  const key = {
    label: `${setting.suite}-${setting.seed}-method`,
    from: { setting, entry, tasks: tasks.map((task) => task.name), VERSION, ...(job ? jobSettings(job) : {}) },
  };
  try {
    return await context.cache.result(key, async (): Promise<EntryResult> => {
      context.pause();
      const started = performance.now();
      const sweep: { setting: string; accuracy: number }[] = [];
      const candidates: Candidate[] = [];
      for (const given of entry.candidates) {
        const method = job ? await completeMethod(context, setting, tasks, given.method, job) : given.method;
        candidates.push({ ...given, method });
      }
      if (candidates.length > 1) {
        for (const candidate of candidates) {
          const accuracies = await measure(context, setting, candidate, 'validation', tasks);
          sweep.push({ setting: candidate.setting, accuracy: mean(Object.values(accuracies)) });
        }
      }
      const best = sweep.reduce((top, { accuracy }, index) => (accuracy > sweep[top]!.accuracy ? index : top), 0);
      const picked = candidates[best]!;
      const accuracies = await measure(context, setting, picked, 'test', tasks);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      context.say(
        `  ${name}: ${(100 * mean(Object.values(accuracies))).toFixed(1)} % (${picked.setting || 'as it is'}; ${seconds} s)`,
      );
      return { name, uses, setting: picked.setting, accuracies, ...(sweep.length > 0 ? { sweep } : {}) };
    });
  } catch (error) {
    if (!(error instanceof NotOffered)) throw error;
    return { name, notRun: 'the service does not offer it' };
  }
}
