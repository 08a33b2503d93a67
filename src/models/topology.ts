import { shown } from '../checkpoint/safetensors-entries.js';
import { EmrError } from '../errors.js';

/** The file of a checkpoint's folder that makes it a model which runs. */
export const TOPOLOGY_FILE = 'model.json';

/** Each model within a model adds five levels. What is read here goes through recursions that a stack ends. */
const MAX_DEPTH = 256;

/** A LayersModel's topology, as far as it can be read without TensorFlow.js. */
export interface Topology {
  /** `{class_name, config}`. */
  readonly json: object;
  /** Of one input, without the batch; null where any size goes. undefined if only TensorFlow.js can tell. */
  readonly inputShape: readonly (number | null)[] | undefined;
}

/**
 * Reads model.json: what `model.save` of TensorFlow.js writes, or the topology alone (`model.toJSON`). Weights that it
 * lists are not read: the checkpoint's safetensors has them. `model_invalid`.
 */
export function parseTopology(bytes: Uint8Array, owner: string): Topology {
  const refuse = (detail: string) =>
    new EmrError('model_invalid', `${TOPOLOGY_FILE} of ${owner} ${detail}`, { checkpoint: owner });
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw refuse('is not JSON.');
  }
  if (!isShallow(json)) throw refuse(`is nested deeper than ${MAX_DEPTH}.`);
  for (const wrapper of ['modelTopology', 'model_config']) json = field(json, wrapper) ?? json;
  const config = field(json, 'config');
  if (typeof field(json, 'class_name') !== 'string' || typeof config !== 'object' || config === null) {
    throw refuse('is no LayersModel: it has no class_name and config. (A GraphModel cannot be trained or merged.)');
  }
  const twice = repeatedName(json);
  if (twice !== undefined) throw refuse(`has two layers named ${shown(twice)}.`);
  return { json: json as object, inputShape: inputShapeOf(json) };
}

/** A name that two layers of one model have: TensorFlow.js would take the last for both. Models within are looked at too. */
function repeatedName(model: unknown): string | undefined {
  const seen = new Set<unknown>();
  for (const layer of layersOf(model)) {
    const name = field(field(layer, 'config'), 'name') ?? field(layer, 'name');
    if (typeof name === 'string' && seen.has(name)) return name;
    seen.add(name);
    const within = repeatedName(layer);
    if (within !== undefined) return within;
  }
  return undefined;
}

function layersOf(model: unknown): readonly unknown[] {
  const config = field(model, 'config');
  const layers = Array.isArray(config) ? config : field(config, 'layers');
  return Array.isArray(layers) ? layers : [];
}

/** Every layer may name the shape that it takes; that of the only layer that does is the model's. */
function inputShapeOf(model: unknown): Topology['inputShape'] {
  const shapes = layersOf(model).flatMap((layer) => {
    const shape = field(field(layer, 'config'), 'batch_input_shape');
    return Array.isArray(shape) ? [shape.slice(1)] : [];
  });
  const isSize = (size: unknown) => size === null || Number.isSafeInteger(size);
  return shapes.length === 1 && shapes[0]!.every(isSize) ? shapes[0] : undefined;
}

/** Level by level. */
function isShallow(json: unknown): boolean {
  let level = [json];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === MAX_DEPTH) return false;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
  }
  return true;
}

function field(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null && Object.hasOwn(of, name)
    ? (of as Record<string, unknown>)[name]
    : undefined;
}

export const shapesAgree = (shape: readonly number[], wanted: readonly (number | null)[]): boolean =>
  shape.length === wanted.length && shape.every((size, axis) => wanted[axis] === null || wanted[axis] === size);
