import * as tf from '@tensorflow/tfjs-core';
import { EmrError } from '../../errors.js';
import type { EvaluateTask, EvaluationValues } from '../task.js';
import { examplesFor, labelsOf } from './batches.js';
import { loadModel, type RunnableModel } from './model.js';
import type { Meter } from './run.js';

/** Accuracy, and the mean cross-entropy in nats; of equal outputs the first counts. */
export async function evaluate({ model: files, dataset, batchSize }: EvaluateTask, meter: Meter) {
  const model = await loadModel(files);
  const examples = examplesFor(model, dataset, batchSize);
  const labels = labelsOf(dataset, model.classes);
  const report = meter('evaluating', examples.n * examples.exampleBytes);
  let right = 0;
  let loss = 0;
  for (let first = 0; first < examples.n; first += batchSize) {
    const end = Math.min(first + batchSize, examples.n);
    const logs = logsOf(model, () => examples.slice(first, end));
    for (let i = first; i < end; i++) {
      const row = logs.subarray((i - first) * model.classes, (i - first + 1) * model.classes);
      if (!row.every(Number.isFinite)) throw notFinite(model, dataset.name, i);
      if (row.indexOf(Math.max(...row)) === labels[i]) right += 1;
      loss -= row[labels[i]!]!;
    }
    report((end - first) * examples.exampleBytes);
  }
  model.dispose();
  return {
    values: { accuracy: right / examples.n, loss: loss / examples.n, n: examples.n } satisfies EvaluationValues,
  };
}

/** log p [batch · classes] of a batch that is made here and not kept. */
export function logsOf(model: RunnableModel, batch: () => tf.Tensor): Float32Array {
  const logs = tf.tidy(() => model.logProbabilities(batch()));
  const values = logs.dataSync<'float32'>();
  logs.dispose();
  return values;
}

export function notFinite(model: RunnableModel, dataset: string, index: number): EmrError {
  const detail = `${model.name} puts out NaN or infinity for example ${index} of ${dataset}.`;
  return new EmrError('model_output', detail, { model: model.name, dataset, index });
}
