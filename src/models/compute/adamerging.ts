import * as tf from '@tensorflow/tfjs-core';
import { EmrError } from '../../errors.js';
import type { AdaMergingTask, AdaMergingValues } from '../task.js';
import { createAdam } from './adam.js';
import { type Examples, examplesFor } from './batches.js';
import { gradientsOf } from './fisher.js';
import { loadModel, type ModelWeight, type RunnableModel, setWeight } from './model.js';
import { createRandom, type Random, shuffled } from './random.js';
import type { Meter } from './run.js';
import { combine, dot, type MergedTensor, taskVectors } from './task-vectors.js';

/** Examples of each task by which entropy is told before and after. */
const TOLD = 1_024;

/** Σ over tasks of the mean entropy of a batch's outputs, and its gradient for every coefficient. */
export interface EntropyProblem {
  /** Coefficients: all tasks' of the first tensor, then of the next; by task alone, one of each task. */
  readonly size: number;
  readonly examples: readonly Examples[];
  /** @param places of each task's examples */
  gradient(coefficients: Float64Array, places: readonly (readonly number[])[]): Float64Array;
  entropy(coefficients: Float64Array, places: readonly (readonly number[])[]): number;
  named(coefficients: Float64Array): AdaMergingValues['coefficients'];
}

/**
 * Coefficients λ in [0, 1] of W_pre + Σ λ_t·τ_t, by Adam on the entropy of the outputs for inputs without labels.
 * @see Yang et al., AdaMerging, Eqs. 4–6: https://arxiv.org/abs/2310.02575
 */
export async function adamerging(task: AdaMergingTask, meter: Meter): Promise<{ values: AdaMergingValues }> {
  const { steps, learning_rate, initial, batch_size, seed } = task.options;
  const problem = await entropyProblem(task);
  const coefficients = new Float64Array(problem.size).fill(initial);
  const told = problem.examples.map(({ n }) => range(Math.min(n, TOLD)));
  const before = problem.entropy(coefficients, told);
  const random = createRandom(seed);
  const draws = problem.examples.map(({ n }) => drawBatches(n, Math.min(n, batch_size), random));
  const stepBytes = problem.examples.reduce(
    (sum, { n, exampleBytes }) => sum + Math.min(n, batch_size) * exampleBytes,
    0,
  );
  const report = meter('adapting', steps * stepBytes);
  const descend = createAdam(coefficients, learning_rate);
  for (let step = 0; step < steps; step++) {
    const places = draws.map((draw) => draw());
    descend(problem.gradient(coefficients, places));
    report(stepBytes);
  }
  const entropy = { before, after: problem.entropy(coefficients, told) };
  return { values: { coefficients: problem.named(coefficients), entropy, steps } };
}

interface Learner {
  readonly name: string;
  readonly model: RunnableModel;
  readonly examples: Examples;
  readonly dataset: string;
  /** In the order of the merged tensors. */
  readonly weights: readonly ModelWeight[];
}

export async function entropyProblem({ base, tasks, options }: AdaMergingTask): Promise<EntropyProblem> {
  const layerWise = options.granularity === 'layer';
  const merged = taskVectors(
    base,
    tasks.map(({ model }) => model),
    options.trimmed?.density,
  );
  const learners: Learner[] = [];
  for (const { name, model: files, dataset } of tasks) {
    const model = await loadModel(files);
    const examples = examplesFor(model, dataset, Math.max(options.batch_size, Math.min(TOLD, dataset.x.shape[0]!)));
    const weights = merged.map(({ name: tensor }) => model.weights.find((weight) => weight.tensor === tensor)!);
    // Stored statistics too are merged with λ: a gradient through the weights alone is not that of λ.
    for (const { variable } of weights) variable.trainable = true;
    learners.push({ name, model, examples, dataset: dataset.name, weights });
  }
  const of = (coefficients: Float64Array, k: number) =>
    [...coefficients.subarray(layerWise ? k * tasks.length : 0)].slice(0, tasks.length);

  const place = (coefficients: Float64Array) => {
    merged.forEach((tensor, k) => {
      const values = combine(tensor, of(coefficients, k));
      for (const { weights, name } of learners) setWeight(weights[k]!, values, `the merged model of task ${name}`);
    });
  };

  return {
    size: tasks.length * (layerWise ? merged.length : 1),
    examples: learners.map(({ examples }) => examples),
    gradient(coefficients, places) {
      place(coefficients);
      const gradient = new Float64Array(coefficients.length);
      learners.forEach((learner, l) => {
        const x = learner.examples.pick(places[l]!);
        const slopes = gradientsOf(learner.weights, () => meanEntropy(learner.model, x));
        x.dispose();
        merged.forEach((tensor, k) => {
          if (slopes[k]) addSlopes(tensor, slopes[k], gradient.subarray(layerWise ? k * tasks.length : 0));
        });
        if (!gradient.every(Number.isFinite)) throw notFinite(learner);
      });
      return gradient;
    },
    entropy(coefficients, places) {
      place(coefficients);
      const all = learners.map((learner, l) => {
        const value = tf.tidy(() => meanEntropy(learner.model, learner.examples.pick(places[l]!)).dataSync()[0]!);
        if (!Number.isFinite(value)) throw notFinite(learner);
        return value;
      });
      return all.reduce((sum, value) => sum + value, 0) / all.length;
    },
    named: (coefficients) =>
      Object.fromEntries(
        tasks.map(({ name }, t) => [
          name,
          layerWise
            ? Object.fromEntries(merged.map((tensor, k) => [tensor.name, coefficients[k * tasks.length + t]!]))
            : coefficients[t]!,
        ]),
      ),
  };
}

/** ∂L/∂λ_t = ⟨∂L/∂W, τ_t⟩, since W = W_pre + Σ λ_t·τ_t. */
function addSlopes({ vectors }: MergedTensor, slope: Float32Array, gradient: Float64Array): void {
  vectors.forEach((vector, t) => {
    gradient[t]! += dot(slope, vector);
  });
}

/** Of the model's outputs, in nats; the mean over a batch. */
function meanEntropy(model: RunnableModel, x: tf.Tensor): tf.Scalar {
  const logs = model.logProbabilities(x);
  return tf.neg(tf.mean(tf.sum(tf.mul(tf.exp(logs), logs), 1)));
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Batches from shuffled passes over n examples. */
function drawBatches(n: number, size: number, random: Random): () => number[] {
  const queue: number[] = [];
  return () => {
    while (queue.length < size) queue.push(...shuffled(n, random));
    return queue.splice(0, size);
  };
}

function notFinite({ name, dataset }: Learner): EmrError {
  return new EmrError('model_output', `The merged model of task ${name} puts out NaN or infinity for ${dataset}.`, {
    task: name,
    dataset,
  });
}
