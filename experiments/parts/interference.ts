import { type Context, readBase, readFineTune, type Setting, suiteOf } from '../context.js';
import { percent, plural, spread, table } from '../markdown.js';
import { cosines, meanCosine, withCosine } from '../maths/mix.js';
import { flatten, unflatten } from '../maths/reconstruct.js';
import { mean } from '../maths/statistics.js';
import { uploadWeights } from '../service/merging.js';
import type { MethodRequest, Rendering } from '../service/types.js';
import { isHead } from '../tensor-bytes.js';
import { specsOf } from '../training/needs.js';
import { baseSpec, labelOf } from '../training/specs.js';
import type { Part } from './types.js';

/** −1/7 is the least that eight vectors can have with one another. */
const COSINES = [-0.14, -0.1, 0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1];
const setting = (seed: number): Setting => ({ suite: 'digits8', seed, architecture: 'mlp', head: 'random' });

interface Mixed {
  readonly cosine: number;
  /** Mean accuracies: the mixed fine-tunes themselves, and what merges of them give. */
  readonly individual: number;
  readonly emr: number;
  readonly l2: number;
  readonly average: number;
  readonly density: number;
  readonly conflicts: number;
  readonly rescaler: number;
  readonly distance: { readonly global: number; readonly l2: number };
}

interface Interference {
  /** Mean cosine of the task vectors as they were trained. */
  readonly trained: number;
  readonly mixed: readonly Mixed[];
}

/** Where does EMR break? Task vectors of equal cosine with one another, from opposed through orthogonal to equal. */
export const interference: Part<Interference> = {
  name: 'interference',
  version: 1,
  models: (seed) => specsOf({ ...setting(seed), heads: ['random'], joint: false }),
  async run(context, seed) {
    const { tasks } = suiteOf(setting(seed));
    const base = await readBase(context, setting(seed));
    const fineTunes = await Promise.all(tasks.map((task) => readFineTune(context, setting(seed), task)));
    const names = [...base.keys()].filter((name) => !isHead(name));
    const origin = flatten(base, names);
    const vectors = fineTunes.map((weights) => flatten(weights, names).map((value, index) => value - origin[index]!));
    const mixed: Mixed[] = [];
    for (const cosine of COSINES) {
      const bodies = withCosine(vectors, cosine).map((vector) => vector.map((value, index) => value + origin[index]!));
      const models = fineTunes.map((weights, place) => unflatten(weights, names, bodies[place]!));
      const key = { label: 'interference', from: { seed, cosine, version: 1 } };
      mixed.push(await context.cache.result(key, () => measure(context, seed, cosine, models)));
    }
    return { trained: meanCosine(cosines(vectors)), mixed };
  },
  render,
};

async function measure(
  context: Context,
  seed: number,
  cosine: number,
  models: readonly Awaited<ReturnType<typeof readFineTune>>[],
): Promise<Mixed> {
  context.pause();
  const own = setting(seed);
  const { tasks } = suiteOf(own);
  const base = labelOf(baseSpec(own));
  const evaluator = context.evaluator(own.architecture);
  await uploadWeights(context, own, base, () => readBase(context, own));
  const named = tasks.map((task) => ({ name: task.name, checkpoint: `${task.name}-${seed}-cosine-${cosine}` }));
  for (const [place, { checkpoint }] of named.entries()) {
    await uploadWeights(context, own, checkpoint, async () => models[place]!);
  }
  const accuracy = async (method: MethodRequest, rendering?: Rendering) => {
    const merge = await context.session.merge({ base, tasks: named, method });
    const all: number[] = [];
    for (const task of tasks) {
      all.push(
        (await evaluator.accuracy(task, 'test', await context.session.taskWeights(merge, task.name, rendering)))!,
      );
    }
    return { merge, accuracy: mean(all) };
  };
  const individual: number[] = [];
  for (const [place, task] of tasks.entries()) {
    individual.push((await evaluator.accuracy(task, 'test', models[place]!))!);
  }
  const emr = await accuracy({ type: 'emr' });
  const figures = Object.values((await context.session.report(emr.merge)).tasks);
  const relative = (kind: 'global' | 'l2') =>
    mean(figures.map(({ distances, tau_squared_norm }) => distances.rescaled[kind] / tau_squared_norm));
  context.say(`  cosine ${cosine}: ${(100 * emr.accuracy).toFixed(1)} %`);
  return {
    cosine,
    individual: mean(individual),
    emr: emr.accuracy,
    l2: (await accuracy({ type: 'emr' }, { rescaler: 'l2' })).accuracy,
    average: (await accuracy({ type: 'average' })).accuracy,
    density: mean(figures.map(({ density }) => density)),
    conflicts: mean(figures.map(({ sign_conflicts }) => sign_conflicts)),
    rescaler: mean(figures.map(({ rescalers }) => rescalers.global)),
    distance: { global: relative('global'), l2: relative('l2') },
  };
}

function render(results: readonly Interference[]): string {
  const of = (place: number, figure: (mixed: Mixed) => number) => results.map(({ mixed }) => figure(mixed[place]!));
  const rows = results[0]!.mixed.map(({ cosine }, place) => [
    String(cosine),
    percent(of(place, ({ individual }) => individual)),
    percent(of(place, ({ emr }) => emr)),
    percent(of(place, ({ l2 }) => l2)),
    percent(of(place, ({ average }) => average)),
    percent(of(place, ({ emr, individual }) => emr - individual)),
    mean(of(place, ({ density }) => density)).toFixed(3),
    mean(of(place, ({ conflicts }) => conflicts)).toFixed(3),
    mean(of(place, ({ rescaler }) => rescaler)).toFixed(3),
    mean(of(place, ({ distance }) => distance.global)).toFixed(3),
    mean(of(place, ({ distance }) => distance.l2)).toFixed(3),
    // At cosine 1 nothing tells the tasks apart.
    cosine < 1 ? (mean(of(place, ({ distance }) => distance.global)) / (1 - cosine)).toFixed(2) : '–',
  ]);
  const gap = (place: number) => mean(of(place, ({ emr, individual }) => emr - individual));
  const worst = rows.reduce((lowest, _, place) => (gap(place) < gap(lowest) ? place : lowest), 0);
  const last = COSINES.at(-2)!;
  const error = (cosine: number) => mean(of(COSINES.indexOf(cosine), ({ distance }) => distance.global));
  const nearer = COSINES.filter((_, place) => mean(of(place, ({ l2, emr }) => l2 - emr)) > 0);
  return [
    '## Interference: task vectors mixed toward one another',
    `The eight task vectors of digits8, made to have one cosine with one another: first orthogonalised evenly (each stays
as near to itself as that allows), then given a share of their common direction; norms stay. A mixed fine-tune is the base
plus its mixed task vector, with the head of the task. At cosine 1 all eight bodies point the same way. As trained, the mean
cosine is ${spread(
      results.map(({ trained }) => trained),
      3,
    )}. "Individual" is the accuracy of the mixed fine-tunes themselves.`,
    `${plural(results.length, 'seed')}. Accuracy in %; density, conflicts, λ of Eq. 13 and the relative squared distance
‖τ − λ·M⊙u‖² / ‖τ‖² as means over the tasks:`,
    table(
      [
        'cosine',
        'Individual',
        'EMR',
        'EMR, l2',
        'averaging',
        'EMR − Individual',
        'density',
        'sign conflicts',
        'λ',
        'distance, Eq. 13',
        'distance, l2',
        'distance, Eq. 13, by 1 − cosine',
      ],
      rows,
    ),
    `- EMR loses most at cosine ${COSINES[worst]}: ${(100 * gap(worst)).toFixed(1)} points.
- From cosine 0 to ${last} its squared error goes from ${error(0).toFixed(2)} to ${error(last).toFixed(2)} of ‖τ‖², but from ${error(0).toFixed(2)} to ${(error(last) / (1 - last)).toFixed(2)} of what is left of ‖τ‖²
  without the common direction (1 − cosine), which is all that tells a task from the others.
- ${nearer.length > 0 ? `The l2 rescaler is more accurate than Eq. 13 at cosine ${nearer.join(', ')}.` : 'The l2 rescaler is nowhere more accurate than Eq. 13.'}`,
  ].join('\n\n');
}
