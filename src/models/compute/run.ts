import { EmrError } from '../../errors.js';
import { createProgressMeter } from '../../merge/progress.js';
import type { ModelMessage, ModelResult, ModelTask, RawTensor } from '../task.js';
import { adamerging } from './adamerging.js';
import { onBackend } from './backend.js';
import { evaluate } from './evaluate.js';
import { fisher } from './fisher.js';
import { gram } from './gram.js';
import { messageOf } from './model.js';

export interface ModelPort {
  postMessage(message: ModelMessage): void;
}

/** Begins a phase of so many bytes; the function that it gives adds some to those that are done. */
export type Meter = (phase: string, bytesTotal: number) => (bytes: number) => void;

interface Computed {
  readonly values: ModelResult['values'];
  readonly tensors?: readonly RawTensor[];
}

/** Computes what a task asks for, and tells it, or why not, through the port. */
export async function runModelTask(task: ModelTask, port: ModelPort): Promise<void> {
  const meter: Meter = (phase, bytesTotal) => {
    const progress = createProgressMeter(bytesTotal, (value) => port.postMessage({ progress: value }));
    progress.phase(phase);
    return (bytes) => progress.add(bytes);
  };
  try {
    const { backend, result } = await onBackend(() => compute(task, meter));
    port.postMessage({ done: { backend, ...result } });
  } catch (error) {
    const { code, detail, facts } = error instanceof EmrError ? error : refusal(error);
    port.postMessage({ failed: { code, detail, facts } });
  }
}

function compute(task: ModelTask, meter: Meter): Promise<Computed> {
  switch (task.type) {
    case 'evaluate':
      return evaluate(task, meter);
    case 'fisher':
      return fisher(task, meter);
    case 'gram':
      return gram(task, meter);
    case 'adamerging':
      return adamerging(task, meter);
  }
}

/** What TensorFlow.js throws while it runs a model is about that model: a reshape that does not fit, and the like. */
function refusal(error: unknown): EmrError {
  return new EmrError('model_invalid', `The model cannot be run: ${messageOf(error)}`);
}
