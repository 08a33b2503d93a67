import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from '../examples/digits/backend.js';
import { PIXELS } from '../examples/digits/data.js';
import type { Tensors } from '../examples/digits/tensor-files.js';
import type { Images } from './suites/images.js';
import type { SuiteTask } from './suites/types.js';
import { architectures } from './training/architectures.js';
import type { ArchitectureName } from './training/specs.js';

const BATCH = 1000;

/** Measures models on a task's images. The one place where an accuracy comes from. */
export interface Evaluator {
  /** Share of the images whose class is found, 0 … 1; undefined where the task has none for validation. */
  accuracy(task: SuiteTask, split: 'validation' | 'test', weights: Tensors): Promise<number | undefined>;
}

interface Prepared {
  readonly inputs: tf.Tensor2D;
  readonly labels: Uint8Array;
}

/** Keeps the inputs of every task that it has met in the backend's memory: 1.6 MB for 2,000 images. */
export function createEvaluator(images: Images, architecture: ArchitectureName): Evaluator {
  const prepared = new Map<SuiteTask, Map<string, Promise<Prepared | undefined>>>();
  async function prepare(task: SuiteTask, split: 'validation' | 'test'): Promise<Prepared | undefined> {
    await startBackend();
    const examples = await images.examples(task, split);
    return (
      examples && { inputs: tf.tensor2d(examples.inputs, [examples.labels.length, PIXELS]), labels: examples.labels }
    );
  }
  return {
    async accuracy(task, split, weights) {
      const ofTask = prepared.get(task) ?? new Map<string, Promise<Prepared | undefined>>();
      prepared.set(task, ofTask);
      const preparing = ofTask.get(split) ?? prepare(task, split);
      ofTask.set(split, preparing);
      const examples = await preparing;
      if (!examples) return undefined;
      const model = architectures[architecture].build(weights);
      const classes = tf.tidy(() => {
        const logits = model.predict(examples.inputs, { batchSize: BATCH });
        return tf.argMax(logits as tf.Tensor, 1).dataSync();
      });
      model.dispose();
      return examples.labels.filter((label, index) => label === classes[index]).length / examples.labels.length;
    },
  };
}
