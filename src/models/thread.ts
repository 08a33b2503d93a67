import { Worker } from 'node:worker_threads';
import { EmrError } from '../errors.js';
import type { JobContext } from '../queue/types.js';
import type { ModelMessage, ModelResult, ModelTask } from './task.js';

const THREAD_ENTRY = new URL('../../workers/model-thread.js', import.meta.url);

/**
 * Computes in a thread of its own, where TensorFlow.js is loaded, and which a cancel ends at once. A model may keep its
 * thread busy for minutes; the thread of the queue's locks must not be that one.
 */
export async function runModelThread(task: ModelTask, { signal, progress }: JobContext): Promise<ModelResult> {
  signal.throwIfAborted();
  const worker = new Worker(THREAD_ENTRY, { workerData: task, transferList: buffersOf(task) });
  let abort = () => {};
  try {
    return await new Promise<ModelResult>((resolve, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      const crash = (cause?: unknown) =>
        reject(new EmrError('internal', 'The thread of the model failed.', {}, { cause }));
      worker.on('error', crash);
      worker.on('exit', () => crash());
      worker.on('message', (message: ModelMessage) => {
        if ('progress' in message) progress(message.progress);
        else if ('done' in message) resolve(message.done);
        else reject(new EmrError(message.failed.code, message.failed.detail, message.failed.facts));
      });
    });
  } finally {
    signal.removeEventListener('abort', abort);
    await worker.terminate();
  }
}

/** The memory of every tensor within, which is moved to the thread and not copied. */
function buffersOf(value: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) return [value.buffer as ArrayBuffer];
  if (typeof value !== 'object' || value === null) return [];
  return [...new Set(Object.values(value).flatMap(buffersOf))];
}
