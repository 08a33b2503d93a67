import type * as tfl from '@tensorflow/tfjs-layers';
import { isFloat } from '../../dtype.js';
import { EmrError } from '../../errors.js';
import type { RawTensor } from '../task.js';

/** An error names this many of the weights that do not fit, and says how many there are. */
const MAX_NAMED = 20;

/**
 * The tensor of each weight: that of the weight's name, `<layer>/<weight>`, or of that name with a dot in place of the
 * last slash, or of all. Tensors that are not float are no weights of a layer and are passed over. `model_mismatch`
 * names every weight without a tensor, every tensor without a weight, and every two of different shapes.
 */
export function matchWeights(
  model: string,
  layers: tfl.LayersModel,
  tensors: readonly RawTensor[],
): { variable: tfl.LayerVariable; tensor: RawTensor }[] {
  const left = new Map(tensors.filter(({ dtype }) => isFloat(dtype)).map((tensor) => [tensor.name, tensor]));
  const problems: string[] = [];
  const found = layers.weights.flatMap((variable) => {
    const { originalName, shape } = variable;
    const name = spellings(originalName).find((one) => left.has(one));
    if (name === undefined) {
      problems.push(`${originalName} [${shape}] has no tensor`);
      return [];
    }
    const tensor = left.get(name)!;
    left.delete(name);
    if (tensor.shape.join() !== shape.join()) {
      problems.push(`${name} is [${tensor.shape}], and [${shape}] in the topology`);
      return [];
    }
    return [{ variable, tensor }];
  });
  for (const { name, shape } of left.values()) problems.push(`${name} [${shape}] is in no layer`);
  if (problems.length === 0) return found;
  const more = problems.length > MAX_NAMED ? `; and ${problems.length - MAX_NAMED} more` : '';
  throw new EmrError(
    'model_mismatch',
    `The topology of ${model} does not fit its weights: ${problems.slice(0, MAX_NAMED).join('; ')}${more}.`,
    { model, problems: problems.slice(0, MAX_NAMED), count: problems.length },
  );
}

const spellings = (weight: string) => [weight, weight.replace(/\/(?=[^/]*$)/, '.'), weight.replaceAll('/', '.')];
