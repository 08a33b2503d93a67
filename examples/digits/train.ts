import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { augment } from './augment.js';
import { startBackend } from './backend.js';
import { type ImageSet, pick, standardise } from './data.js';
import { evaluateTask } from './evaluate.js';
import { describeModel, describeTopology } from './model.js';
import { EXAMPLE, FASHION_FOLDER, mnistFolder, UCI_FILE } from './places.js';
import { createRandom, type Random, shuffled } from './random.js';
import { cutHeldOut, type Locations, readTraining } from './sources.js';
import { TASKS, type Task } from './tasks.js';
import { type Tensors, writeTensors, writeWeights } from './tensor-files.js';
import { type NextBatch, randomWeights, train } from './trainer.js';

/** The base sees the first 20,000 images of both large sets; every task 8,000 (UCI digits: 1,297) of the others. */
const BASE_IMAGES = 20_000;
const BASE_STEPS = 3_125;
const TASK_IMAGES = 8_000;
const TASK_STEPS = 500;
const CLASSES = 10;

const range = (first: number, end: number) => Array.from({ length: end - first }, (_, index) => first + index);

/** Draws batches from shuffled passes over `images`. */
function batches(images: ImageSet, random: Random, change: (pixels: Uint8Array) => Uint8Array): NextBatch {
  const queue: number[] = [];
  return (size) => {
    while (queue.length < size) queue.push(...shuffled(images.labels.length, random));
    const batch = pick(images, queue.splice(0, size));
    return { inputs: standardise(change(batch.pixels)), labels: batch.labels };
  };
}

function join2(first: ImageSet, second: ImageSet, labelShift: number): ImageSet {
  return {
    pixels: Buffer.concat([first.pixels, second.pixels]),
    labels: Uint8Array.from([...first.labels, ...second.labels.map((label) => label + labelShift)]),
  };
}

/** A network that tells the 10 digits and the 10 kinds of clothing apart: what all fine-tunes start from. */
async function trainBase(locations: Locations, random: Random): Promise<Tensors> {
  const [mnist, fashion] = await Promise.all([readTraining('mnist', locations), readTraining('fashion', locations)]);
  const first = range(0, BASE_IMAGES);
  const images = join2(pick(mnist, first), pick(fashion, first), CLASSES);
  const nextBatch = batches(images, random, (pixels) => augment(pixels, random));
  return train(randomWeights(2 * CLASSES, random), BASE_STEPS, nextBatch);
}

/** The base's body and a new head, all of it trained on one task. */
async function fineTune(task: Task, base: Tensors, locations: Locations, random: Random): Promise<Tensors> {
  const all = await readTraining(task.source, locations);
  const first = BASE_IMAGES + task.part * TASK_IMAGES;
  const images = task.source === 'uci' ? all : pick(all, range(first, first + TASK_IMAGES));
  const fresh = randomWeights(CLASSES, random);
  const body = [...base].filter(([name]) => !name.startsWith('head.'));
  return train(new Map([...fresh, ...body]), TASK_STEPS, batches(images, random, task.transform));
}

async function saveCheckpoint(out: string, name: string, weights: Tensors): Promise<void> {
  const folder = join(out, 'checkpoints', name);
  await mkdir(folder, { recursive: true });
  await writeWeights(join(folder, 'model.safetensors'), weights);
  const classes = weights.get('head.bias')!.shape[0]!;
  await writeFile(join(folder, 'config.json'), `${JSON.stringify(describeModel(classes, name), null, 2)}\n`);
  await writeFile(join(folder, 'model.json'), `${JSON.stringify(describeTopology(classes))}\n`);
}

async function saveHeldOut(out: string, locations: Locations): Promise<void> {
  await mkdir(join(out, 'held-out'), { recursive: true });
  for (const [name, { pixels, labels }] of Object.entries(await cutHeldOut(locations))) {
    const n = labels.length;
    const side = Math.sqrt(pixels.length / n);
    await writeTensors(
      join(out, 'held-out', `${name}.safetensors`),
      new Map([
        ['images', { dtype: 'U8', shape: [n, side, side], bytes: pixels }],
        ['labels', { dtype: 'U8', shape: [n], bytes: labels }],
      ]),
    );
  }
}

const { values } = parseArgs({
  options: {
    mnist: { type: 'string' },
    fashion: { type: 'string', default: FASHION_FOLDER },
    uci: { type: 'string', default: UCI_FILE },
    out: { type: 'string', default: EXAMPLE },
    seed: { type: 'string', default: '1' },
  },
});
const locations = { mnist: values.mnist ?? mnistFolder(), fashion: values.fashion, uci: values.uci };
const random = createRandom(Number(values.seed));
const started = performance.now();
const say = (text: string) =>
  console.log(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`);

say(`training on ${await startBackend()}`);
await saveHeldOut(values.out, locations);
const base = await trainBase(locations, random);
await saveCheckpoint(values.out, 'base', base);
say('base');
for (const task of TASKS) {
  const weights = await fineTune(task, base, locations, random);
  await saveCheckpoint(values.out, task.name, weights);
  const { accuracy, n } = await evaluateTask(task, weights);
  say(`${task.name}: ${(100 * accuracy).toFixed(1)} % of ${n} test images`);
}
