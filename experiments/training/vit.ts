import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { PIXELS, SIDE } from '../../examples/digits/data.js';
import { normal, type Random } from '../../examples/digits/random.js';
import { LayerNorm, Linear } from '../../src/models/compute/layers.js';
import type { Architecture } from './architecture.js';

const WIDTH = 48;
const BLOCKS = 2;
const EPSILON = 1e-5;

/**
 * A small vision transformer, about 40,000 parameters in the body: each row of pixels is a token; two blocks of one-head
 * attention and a network of one hidden layer, each behind a layer norm and beside a shortcut; the mean of the tokens; a
 * linear head. What the embedding of positions would be is the bias of a layer norm over all tokens together. All its
 * layers are Keras's or the service's, so that the service can run it.
 */
function buildNetwork(classes: number): tfl.LayersModel {
  const { layers } = tfl;
  type Flow = tfl.SymbolicTensor;
  const through = (x: Flow | Flow[], layer: tfl.layers.Layer) => layer.apply(x) as Flow;
  const linear = (x: Flow, name: string, units: number) => through(x, new Linear({ name, units }));
  const norm = (x: Flow, name: string) => through(x, new LayerNorm({ name, epsilon: EPSILON }));
  const act = (x: Flow, name: string, activation: 'relu' | 'softmax') =>
    through(x, layers.activation({ name, activation }));

  const attend = (x: Flow, name: string) => {
    const [query, key, value] = ['query', 'key', 'value'].map((role) => linear(x, `${name}.${role}`, WIDTH));
    const scores = through([query!, key!], layers.dot({ name: `${name}.scores`, axes: [2, 2] }));
    const shares = act(scores, `${name}.shares`, 'softmax');
    const mixed = through([shares, value!], layers.dot({ name: `${name}.mixed`, axes: [2, 1] }));
    return linear(mixed, `${name}.output`, WIDTH);
  };
  const widen = (x: Flow, name: string) =>
    linear(act(linear(x, `${name}.up`, 2 * WIDTH), `${name}.relu`, 'relu'), `${name}.down`, WIDTH);

  const input = tfl.input({ shape: [PIXELS], name: 'pixels' });
  const rows = through(input, layers.reshape({ name: 'rows', targetShape: [SIDE, SIDE] }));
  const flat = through(linear(rows, 'embedding', WIDTH), layers.reshape({ name: 'flat', targetShape: [SIDE * WIDTH] }));
  let x = through(norm(flat, 'positions'), layers.reshape({ name: 'tokens', targetShape: [SIDE, WIDTH] }));
  for (let block = 0; block < BLOCKS; block += 1) {
    const name = `blocks.${block}`;
    const attended = attend(norm(x, `${name}.norm1`), name);
    x = through([x, attended], layers.add({ name: `${name}.sum1` }));
    x = through([x, widen(norm(x, `${name}.norm2`), name)], layers.add({ name: `${name}.sum2` }));
  }
  const pooled = through(norm(x, 'norm'), layers.globalAveragePooling1d({ name: 'pooled' }));
  return tfl.model({ inputs: input, outputs: linear(pooled, 'head', classes), name: 'vit' });
}

/** Names and shapes of the weights, in the network's own order. A tensor is named as its layer, then as its weight. */
function shapesOf(model: tfl.LayersModel): [string, number[]][] {
  return model.layers.flatMap((layer) =>
    layer.trainableWeights.map(({ originalName, shape }): [string, number[]] => [
      `${layer.name}.${originalName.split('/').at(-1)}`,
      shape as number[],
    ]),
  );
}

function initial(name: string, [outputs, inputs]: number[], random: Random): Float32Array {
  if (inputs) {
    // Scores are not divided by √width, so queries and keys begin that much smaller; branches begin quietly.
    const gain = /query|key/.test(name) ? WIDTH ** -0.5 : /output|down/.test(name) ? 0.5 : 1;
    return normal(outputs! * inputs, gain * Math.sqrt(1 / inputs), random);
  }
  return new Float32Array(outputs!).fill(/(norm\d?|positions)\.weight$/.test(name) ? 1 : 0);
}

export const vit: Architecture = {
  initial(classes, random) {
    const model = buildNetwork(classes);
    const shapes = shapesOf(model);
    model.dispose();
    return new Map(shapes.map(([name, shape]) => [name, { shape, data: initial(name, shape, random) }]));
  },

  build(weights) {
    const model = buildNetwork(weights.get('head.bias')!.shape[0]!);
    tf.tidy(() => {
      model.setWeights(shapesOf(model).map(([name, shape]) => tf.tensor(weights.get(name)!.data, shape)));
    });
    return model;
  },

  describe: (classes, task) => ({
    model_type: 'vit',
    task,
    input_size: PIXELS,
    hidden_size: WIDTH,
    num_hidden_layers: BLOCKS,
    num_attention_heads: 1,
    layer_norm_eps: EPSILON,
    num_labels: classes,
    torch_dtype: 'float32',
  }),

  topology(weights) {
    const model = buildNetwork(weights.get('head.bias')!.shape[0]!);
    const modelTopology = model.toJSON(null, false) as object;
    model.dispose();
    return { format: 'layers-model', modelTopology };
  },
};
