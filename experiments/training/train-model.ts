import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { type ImageSet, PIXELS } from '../../examples/digits/data.js';
import { createRandom, type Random } from '../../examples/digits/random.js';
import type { Tensors } from '../../examples/digits/tensor-files.js';
import type { Examples, Images } from '../suites/images.js';
import { BASE_IMAGES, SUITES } from '../suites/suites.js';
import type { SuiteTask } from '../suites/types.js';
import type { Architecture } from './architecture.js';
import { architectures } from './architectures.js';
import { augmentedBatches, type Batches, drawPlaces, plainBatches } from './batches.js';
import { trainJointly } from './joint.js';
import { crossEntropy, optimise, readWeights, variablesOf } from './optimise.js';
import { labelOf, type ModelSpec } from './specs.js';

const CLASSES = 10;
const BATCH = 64;
const RATE = 1e-3;
const BASE_STEPS = 3125;
/** A probe is a convex problem on fixed features: larger batches and steps than for a body. */
const PROBE = { batch: 256, steps: 500, rate: 1e-2 };

/** Trains the model that `spec` describes. The same spec gives the same bytes on one machine. */
export async function trainModel(spec: ModelSpec, images: Images, readBase: () => Promise<Tensors>): Promise<Tensors> {
  const architecture = architectures[spec.architecture];
  // Every model draws from its own stream, so that the order of training does not matter.
  const random = createRandom(createHash('sha256').update(labelOf(spec)).digest().readInt32LE());
  if (spec.kind === 'base') return trainBase(architecture, images, random);
  const suite = SUITES[spec.suite];
  const base = await readBase();
  const training = async (task: SuiteTask) => (await images.examples(task, 'training'))!;
  if (spec.kind === 'joint') {
    const tasks = await Promise.all(suite.tasks.map(training));
    const start = withHead(base, architecture.initial(CLASSES * tasks.length, random));
    return trainJointly(
      architecture,
      start,
      tasks,
      { classes: CLASSES, images: BATCH * suite.steps, rate: RATE },
      random,
    );
  }
  const examples = await training(suite.tasks.find(({ name }) => name === spec.task)!);
  const fresh = withHead(base, architecture.initial(CLASSES, random));
  const start = spec.head === 'probed' ? probeHead(architecture, fresh, examples, random) : fresh;
  const batches = plainBatches(examples, random);
  return fit(architecture, start, suite.steps, batches, { head: spec.head === 'random' });
}

/** A network that tells the 10 digits and the 10 kinds of clothing apart: what all fine-tunes start from. */
async function trainBase(architecture: Architecture, images: Images, random: Random): Promise<Tensors> {
  const [mnist, fashion] = await Promise.all([images.raw('mnist', BASE_IMAGES), images.raw('fashion', BASE_IMAGES)]);
  const both: ImageSet = {
    pixels: Buffer.concat([mnist.pixels, fashion.pixels]),
    labels: Uint8Array.from([...mnist.labels, ...fashion.labels.map((label) => label + CLASSES)]),
  };
  const start = architecture.initial(2 * CLASSES, random);
  return fit(architecture, start, BASE_STEPS, augmentedBatches(both, random), { head: true });
}

/** The base's body with the head of `fresh`. */
function withHead(base: Tensors, fresh: Tensors): Tensors {
  return new Map([...fresh].map(([name, tensor]) => [name, name.startsWith('head.') ? tensor : base.get(name)!]));
}

/** Trains all weights, or all but the head's. */
function fit(
  architecture: Architecture,
  start: Tensors,
  steps: number,
  next: Batches,
  train: { head: boolean },
): Tensors {
  const model = architecture.build(start);
  optimise({ steps, rate: RATE }, variablesOf(model, train), () => {
    const { inputs, labels } = next(BATCH);
    return crossEntropy(tf.tensor1d(labels, 'int32'), model.apply(tf.tensor2d(inputs, [BATCH, PIXELS])) as tf.Tensor);
  });
  const trained = readWeights(model, start);
  model.dispose();
  return trained;
}

/** `start` with its head fitted to what its body makes of the examples. */
function probeHead(architecture: Architecture, start: Tensors, examples: Examples, random: Random): Tensors {
  const model = architecture.build(start);
  const body = tfl.model({ inputs: model.inputs, outputs: model.layers.at(-2)!.output });
  const n = examples.labels.length;
  const inputs = tf.tensor2d(examples.inputs, [n, PIXELS]);
  const features = body.predict(inputs, { batchSize: 500 }) as tf.Tensor2D;
  const labels = tf.tensor1d(examples.labels, 'int32');
  const head = variablesOf(model, { head: true }).slice(-2) as [tf.Variable<tf.Rank.R2>, tf.Variable];
  const draw = drawPlaces(n, random);
  optimise(PROBE, head, () => {
    const places = tf.tensor1d(draw(PROBE.batch), 'int32');
    const logits = tf.add(tf.matMul(tf.gather(features, places), tf.transpose(head[0])), head[1]);
    return crossEntropy(tf.gather(labels, places), logits);
  });
  const trained = readWeights(model, start);
  tf.dispose([inputs, features, labels]);
  model.dispose();
  return trained;
}
