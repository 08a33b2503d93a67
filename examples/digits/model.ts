import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { LayerNorm, Linear } from '../../src/models/compute/layers.js';
import { PIXELS } from './data.js';
import type { Tensors } from './tensor-files.js';

const HIDDEN_SIZES = [192, 192, 192];
const LAYER_NORM_EPSILON = 1e-5;

/** What config.json beside a checkpoint says: all that is needed to build the network that its tensors belong to. */
export function describeModel(classes: number, task: string) {
  return {
    model_type: 'mlp',
    task,
    input_size: PIXELS,
    hidden_size: HIDDEN_SIZES[0],
    num_hidden_layers: HIDDEN_SIZES.length,
    hidden_act: 'relu',
    layer_norm_eps: LAYER_NORM_EPSILON,
    num_labels: classes,
    torch_dtype: 'float32',
  };
}

/** The network's tensors, by name and shape, in its order: three times linear and layer norm, then a linear head. */
export function modelShapes(classes: number): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  let inputs = PIXELS;
  for (const [index, size] of HIDDEN_SIZES.entries()) {
    shapes.set(`layers.${index}.weight`, [size, inputs]).set(`layers.${index}.bias`, [size]);
    shapes.set(`norms.${index}.weight`, [size]).set(`norms.${index}.bias`, [size]);
    inputs = size;
  }
  return shapes.set('head.weight', [classes, inputs]).set('head.bias', [classes]);
}

/**
 * The network with these weights, from [images, 196] to logits [images, classes]. Dispose it after use.
 * @param weights the tensors of {@link modelShapes}
 * @throws Error when one is missing or has another shape
 */
export function buildModel(weights: Tensors): tfl.LayersModel {
  const classes = weights.get('head.bias')?.shape[0] ?? 0;
  const model = buildNetwork(classes);
  tf.tidy(() => model.setWeights([...modelShapes(classes)].map(([name, shape]) => toTensor(weights, name, shape))));
  return model;
}

/** The network with zeros for weights; a layer's name is that of its tensors, before the last dot. */
function buildNetwork(classes: number): tfl.LayersModel {
  const input = tfl.input({ shape: [PIXELS], name: 'pixels' });
  let hidden = input;
  const apply = (layer: tfl.layers.Layer) => layer.apply(hidden) as tfl.SymbolicTensor;
  for (const [index, units] of HIDDEN_SIZES.entries()) {
    hidden = apply(new Linear({ name: `layers.${index}`, units }));
    hidden = apply(new LayerNorm({ name: `norms.${index}`, epsilon: LAYER_NORM_EPSILON }));
    hidden = apply(tfl.layers.activation({ name: `activations.${index}`, activation: 'relu' }));
  }
  return tfl.model({ inputs: input, outputs: apply(new Linear({ name: 'head', units: classes })), name: 'mlp' });
}

/** What model.json beside a checkpoint says: the topology, by which the service can run it. */
export function describeTopology(classes: number) {
  const model = buildNetwork(classes);
  const topology = model.toJSON(null, false) as object;
  model.dispose();
  return { format: 'layers-model', modelTopology: topology };
}

function toTensor(weights: Tensors, name: string, shape: number[]): tf.Tensor {
  const found = weights.get(name);
  if (!found) throw new Error(`The checkpoint lacks tensor ${name}`);
  if (found.shape.join() !== shape.join()) throw new Error(`Tensor ${name} is [${found.shape}], not [${shape}]`);
  return tf.tensor(found.data, shape);
}

/** A copy of the weights that the network has now. */
export function weightsOf(model: tfl.LayersModel): Tensors {
  const current = model.getWeights();
  const names = modelShapes(current.at(-1)!.shape[0]!).keys();
  return new Map(
    [...names].map((name, index) => {
      const { shape } = current[index]!;
      return [name, { shape, data: current[index]!.dataSync<'float32'>() }];
    }),
  );
}
