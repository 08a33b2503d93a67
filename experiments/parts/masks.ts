import { decodeTensors, decodeWeights } from '../../examples/digits/tensor-files.js';
import { type Context, type Setting, suiteOf } from '../context.js';
import { plural, spread, table } from '../markdown.js';
import { bitEntropy, conditionalEntropy, jointEntropy, packBits, unpackBits } from '../maths/entropy.js';
import { flatten } from '../maths/reconstruct.js';
import { mean } from '../maths/statistics.js';
import { zstdBytes } from '../maths/zstd.js';
import { mergeTasks } from '../service/merging.js';
import type { SuiteName } from '../suites/suites.js';
import { specsOf } from '../training/needs.js';
import type { Part } from './types.js';

/** Groups of |u| that a mask's density may depend on. */
const GROUPS = 64;
const SUITES_HERE: readonly SuiteName[] = ['digits8', 'tasks30'];
const setting = (suite: SuiteName, seed: number): Setting => ({ suite, seed, architecture: 'mlp', head: 'random' });

interface TaskMask {
  readonly task: string;
  readonly density: number;
  readonly rescalers: { readonly global: number; readonly tensor_mean: number; readonly l2: number };
  /** Bits for each parameter. */
  readonly zstd: number;
  readonly entropy: number;
  /** With a density for each tensor. */
  readonly byTensor: number;
  /** With a density for each group of |u|, in each tensor. */
  readonly byMagnitude: number;
}

interface SuiteMasks {
  readonly suite: SuiteName;
  readonly tasks: readonly TaskMask[];
  /** Of all masks of a place together, for each mask; absent where there are too many patterns to count. */
  readonly together?: number;
}

/** Density and rescalers (the paper's Table 16), and how far masks can be compressed (its open question 1). */
export const masks: Part<SuiteMasks[]> = {
  name: 'masks',
  version: 1,
  models: (seed) =>
    SUITES_HERE.flatMap((suite) => specsOf({ ...setting(suite, seed), heads: ['random'], joint: false })),
  async run(context, seed) {
    const results: SuiteMasks[] = [];
    for (const suite of SUITES_HERE) results.push(await masksOf(context, setting(suite, seed)));
    return results;
  },
  render,
};

async function masksOf(context: Context, own: Setting): Promise<SuiteMasks> {
  context.pause();
  const { tasks } = suiteOf(own);
  const { session } = context;
  const merge = await mergeTasks(context, own, tasks, { type: 'emr' });
  const report = await session.report(merge);
  const unified = decodeWeights(await session.file(merge, 'unified.safetensors'));
  const names = [...unified.keys()].sort();
  const sizes = names.map((name) => unified.get(name)!.data.length);
  const bits: Uint8Array[] = [];
  const results: TaskMask[] = [];
  for (const { name: task } of tasks) {
    const packed = decodeTensors(await session.file(merge, `tasks/${task}/mask.safetensors`));
    const tensors = names.map((name, place) => unpackBits(packed.get(name)!.bytes, sizes[place]!));
    const weighted = (figure: (mask: Uint8Array, place: number) => number) =>
      tensors.reduce((sum, mask, place) => sum + mask.length * figure(mask, place), 0) / all.length;
    const all = Buffer.concat(tensors);
    bits.push(all);
    const { density, rescalers } = report.tasks[task]!;
    results.push({
      task,
      density,
      rescalers,
      zstd: (8 * zstdBytes(packBits(all))) / all.length,
      entropy: bitEntropy(density),
      byTensor: weighted((mask) => bitEntropy(mean([...mask]))),
      byMagnitude: weighted((mask, place) => {
        // A group has at least a hundred elements, or its own density is as good as its bits.
        const groups = Math.max(1, Math.min(GROUPS, Math.floor(mask.length / 100)));
        return conditionalEntropy(mask, unified.get(names[place]!)!.data, groups);
      }),
    });
  }
  const together = bits.length <= 10 ? { together: jointEntropy(bits) } : {};
  context.say(`  ${own.suite}: masks of ${flatten(unified, names).length} parameters`);
  return { suite: own.suite, tasks: results, ...together };
}

function render(results: readonly SuiteMasks[][]): string {
  const first = results[0]!;
  const sections = first.map(({ suite, tasks }, place) => {
    const of = (row: number, figure: (task: TaskMask) => number) =>
      results.map((all) => figure(all[place]!.tasks[row]!));
    const average = (figure: (task: TaskMask) => number) => results.map((all) => mean(all[place]!.tasks.map(figure)));
    const figures = ({ density, rescalers, zstd, entropy, byTensor, byMagnitude }: TaskMask) => [
      density,
      rescalers.global,
      rescalers.tensor_mean,
      rescalers.l2,
      1,
      zstd,
      entropy,
      byTensor,
      byMagnitude,
    ];
    const columns = [
      'density',
      'λ, Eq. 13',
      'λ, tensor-mean',
      'λ, l2',
      'raw',
      'zstd',
      'entropy',
      '… by tensor',
      '… by |u|',
    ];
    const cells = (values: (column: number) => number[]) => columns.map((_, column) => spread(values(column), 3));
    const rows = tasks.map(({ task }, row) => [task, ...cells((column) => of(row, (mask) => figures(mask)[column]!))]);
    const last = ['mean', ...cells((column) => average((mask) => figures(mask)[column]!))];
    const together = results.flatMap((all) => all[place]!.together ?? []);
    const note =
      together.length > 0
        ? `All ${tasks.length} masks of a place coded together take ${spread(together, 3)} bits for each mask and parameter.`
        : `${tasks.length} masks have too many patterns for their joint entropy to be counted.`;
    return `### ${suite}\n\n${table(['task', ...columns], [...rows, last])}\n\n${note}`;
  });
  return [
    '## Masks: density, rescalers, and how far they can be compressed',
    `Density and λ are those of the paper's Table 16. The last five columns are bits for each parameter and task: as
stored, by zstd at level 19, and three bounds: the entropy at the mask's density, with a density for each tensor, and with
one for each of up to ${GROUPS} groups of |u| in each tensor, which a decoder knows. ${plural(results.length, 'seed')}.`,
    ...sections,
  ].join('\n\n');
}
