import { decodeTensors, decodeWeights, type Tensors } from '../../examples/digits/tensor-files.js';
import { type Context, readBase, readFineTune, type Setting, suiteOf } from '../context.js';
import { percent, plural, table } from '../markdown.js';
import { unpackBits } from '../maths/entropy.js';
import { quantisedBytes, quantiseRows } from '../maths/quantise.js';
import { reconstruct } from '../maths/reconstruct.js';
import { mean } from '../maths/statistics.js';
import { mergeTasks } from '../service/merging.js';
import type { SuiteName } from '../suites/suites.js';
import { specsOf } from '../training/needs.js';
import type { Part } from './types.js';

const SUITES_HERE: readonly SuiteName[] = ['digits8', 'tasks30'];
/** In which the service stores u itself. */
const FLOATS = { F32: 4, BF16: 2, F16: 2 } as const;
const BITS = [8, 6, 4, 3, 2];
/** Below what the test images can tell. */
const NOTHING = 0.002;
const setting = (suite: SuiteName, seed: number): Setting => ({ suite, seed, architecture: 'mlp', head: 'random' });

interface Stored {
  readonly format: string;
  /** Of u alone. */
  readonly bytes: number;
  readonly accuracy: number;
}

interface SuitePrecision {
  readonly suite: SuiteName;
  readonly formats: readonly Stored[];
}

/** u in fewer bits, and the accuracy that each leaves: the paper's future work. */
export const precision: Part<SuitePrecision[]> = {
  name: 'precision',
  version: 1,
  models: (seed) =>
    SUITES_HERE.flatMap((suite) => specsOf({ ...setting(suite, seed), heads: ['random'], joint: false })),
  async run(context, seed) {
    const results: SuitePrecision[] = [];
    for (const suite of SUITES_HERE) {
      results.push({
        suite,
        formats: [...(await floats(context, setting(suite, seed))), ...(await integers(context, setting(suite, seed)))],
      });
    }
    return results;
  },
  render,
};

/** By merges whose unified vector has another dtype. */
async function floats(context: Context, own: Setting): Promise<Stored[]> {
  const { tasks } = suiteOf(own);
  const evaluator = context.evaluator(own.architecture);
  const results: Stored[] = [];
  for (const [format, size] of Object.entries(FLOATS)) {
    context.pause();
    const merge = await mergeTasks(context, own, tasks, { type: 'emr' }, format);
    const { parameters } = await context.session.report(merge);
    const all: number[] = [];
    for (const task of tasks) {
      all.push((await evaluator.accuracy(task, 'test', await context.session.taskWeights(merge, task.name)))!);
    }
    results.push({ format, bytes: size * parameters, accuracy: mean(all) });
  }
  return results;
}

/** By rounding the F32 vector here, row by row, with the masks and rescalers of the merge. */
async function integers(context: Context, own: Setting): Promise<Stored[]> {
  const { tasks } = suiteOf(own);
  const { session } = context;
  const evaluator = context.evaluator(own.architecture);
  const base = await readBase(context, own);
  const merge = await mergeTasks(context, own, tasks, { type: 'emr' }, 'F32');
  const unified = decodeWeights(await session.file(merge, 'unified.safetensors'));
  const report = await session.report(merge);
  const results: Stored[] = [];
  for (const bits of BITS) {
    context.pause();
    const rounded = new Map(
      [...unified].map(([name, { shape, data }]) => [name, quantiseRows(data, shape.at(-1)!, bits)]),
    );
    const bytes = [...unified.values()].reduce(
      (sum, { shape, data }) => sum + quantisedBytes(data.length, data.length / shape.at(-1)!, bits),
      0,
    );
    const all: number[] = [];
    for (const task of tasks) {
      const packed = decodeTensors(await session.file(merge, `tasks/${task.name}/mask.safetensors`));
      const weights = new Map(await readFineTune(context, own, task)) as Map<
        string,
        NonNullable<ReturnType<Tensors['get']>>
      >;
      for (const [name, u] of rounded) {
        const { shape, data } = base.get(name)!;
        const mask = unpackBits(packed.get(name)!.bytes, data.length);
        weights.set(name, { shape, data: reconstruct(data, u, mask, report.tasks[task.name]!.rescalers.global) });
      }
      all.push((await evaluator.accuracy(task, 'test', weights))!);
    }
    results.push({ format: `int${bits}`, bytes, accuracy: mean(all) });
  }
  return results;
}

function render(results: readonly SuitePrecision[][]): string {
  const sections = results[0]!.map(({ suite, formats }, place) => {
    const rows = formats.map(({ format, bytes }, row) => {
      const seeds = results.map((all) => all[place]!.formats);
      return [
        format,
        (bytes / 1000).toFixed(1),
        percent(seeds.map((all) => all[row]!.accuracy)),
        percent(seeds.map((all) => all[row]!.accuracy - all[0]!.accuracy)),
      ];
    });
    const loss = (row: number) =>
      mean(results.map((all) => all[place]!.formats[0]!.accuracy - all[place]!.formats[row]!.accuracy));
    const kept = formats.filter((_, row) => loss(row) < NOTHING).map(({ format }) => format);
    const note = `Within ${100 * NOTHING} points of F32: ${kept.join(', ')}.`;
    return `### ${suite}\n\n${table(['u in', 'kB', 'accuracy in %', 'against F32, points'], rows)}\n\n${note}`;
  });
  return [
    '## The unified vector in fewer bits',
    `F32, BF16 and F16 are dtypes that a merge can ask for. The integers are u of the F32 merge, rounded row by row to
2^(bits − 1) − 1 steps either side of 0 with one F32 scale for each row, under the masks and rescalers of that merge.
${plural(results.length, 'seed')}.`,
    ...sections,
  ].join('\n\n');
}
