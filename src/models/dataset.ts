import type { CheckpointRecord, RecordedTensor } from '../catalog/records.js';
import type { Dtype } from '../dtype.js';
import { EmrError } from '../errors.js';
import { MAX_DATASET_BYTES } from './limits.js';
import { shapesAgree } from './topology.js';

export const INPUT_DTYPES: readonly Dtype[] = ['F32', 'F16', 'BF16', 'U8'];
export const LABEL_DTYPES: readonly Dtype[] = ['U8', 'I8', 'U16', 'I16', 'U32', 'I32', 'U64', 'I64'];

export interface DatasetTensors {
  readonly x: RecordedTensor;
  readonly y: RecordedTensor | undefined;
}

/**
 * The tensors of a data set, which is a checkpoint with `x` [n, …] and `y` [n]; refused from its header alone:
 * `dataset_invalid`, `model_too_large`.
 * @param inputShape what the model takes, without the batch, where that is known
 */
export function datasetTensors(
  record: CheckpointRecord,
  labelled: boolean,
  inputShape?: readonly (number | null)[],
): DatasetTensors {
  const refuse = (detail: string) =>
    new EmrError('dataset_invalid', `The data set ${record.name} ${detail}`, { dataset: record.name });
  const find = (name: string) => record.tensors.find((tensor) => tensor.name === name);
  const [x, y] = [find('x'), find('y')];
  if (x === undefined) throw refuse('has no tensor x.');
  if (!INPUT_DTYPES.includes(x.dtype)) throw refuse(`has ${x.dtype} in x; taken are ${INPUT_DTYPES.join(', ')}.`);
  const [n = 0, ...input] = x.shape;
  if (n === 0 || input.includes(0)) throw refuse(`has no example: x is [${x.shape}].`);
  if (inputShape && !shapesAgree(input, inputShape)) {
    throw refuse(`has inputs of shape [${input}]; the model takes [${inputShape.map((size) => size ?? 'any')}].`);
  }
  if (labelled) {
    if (y === undefined) throw refuse('has no tensor y: labels are needed here.');
    if (!LABEL_DTYPES.includes(y.dtype)) throw refuse(`has ${y.dtype} in y: labels are integers.`);
    if (y.shape.length !== 1 || y.shape[0] !== n) throw refuse(`has y of shape [${y.shape}], not [${n}].`);
  }
  const bytes = x.bytes + (labelled ? y!.bytes : 0);
  if (bytes > MAX_DATASET_BYTES) {
    throw new EmrError(
      'model_too_large',
      `${record.name} has ${bytes} bytes; a data set may have ${MAX_DATASET_BYTES}.`,
      {
        dataset: record.name,
        limit: MAX_DATASET_BYTES,
      },
    );
  }
  return { x, y: labelled ? y : undefined };
}
