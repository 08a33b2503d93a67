import { createHash } from 'node:crypto';
import type { RecordedFile } from '../catalog/sources.js';
import { layoutSafetensors } from '../checkpoint/safetensors-layout.js';
import { DTYPE_BYTES, type Dtype, elementCount, type FloatDtype, isFloat, type OutputDtype } from '../dtype.js';
import { bundlePaths } from './bundle.js';
import type { RESCALERS, SCOPES, STEPS } from './methods/emr.js';
import type { Rescaler } from './rescalers.js';
import type { TaskModel } from './task-model.js';

/** What a request may choose of a reconstruction. */
export interface Rendering {
  readonly rescaler?: (typeof RESCALERS)[number] | undefined;
  readonly scope?: (typeof SCOPES)[number] | undefined;
  /** Default: as the merge was asked for, else `rescale`. */
  readonly steps?: (typeof STEPS)[number] | undefined;
  /** Of all float tensors; default: as each was in the fine-tuned checkpoint. */
  readonly dtype?: OutputDtype | undefined;
}

/** Which of the open files a segment reads from. */
export type SegmentFile = { readonly artifact: string } | { readonly base: RecordedFile };

export interface Input {
  readonly file: SegmentFile;
  readonly offset: number;
  readonly dtype: FloatDtype;
}

/** A run of bytes of the virtual file, and how to make them. */
export type Segment =
  | { readonly kind: 'bytes'; readonly bytes: number; readonly content: Uint8Array }
  | { readonly kind: 'copy'; readonly bytes: number; readonly file: SegmentFile; readonly offset: number }
  | {
      readonly kind: 'cast';
      readonly bytes: number;
      readonly n: number;
      readonly from: Input;
      readonly output: FloatDtype;
    }
  | {
      readonly kind: 'modulate';
      readonly bytes: number;
      readonly n: number;
      readonly base: Input;
      readonly unified: Input;
      /** Undefined: 1 everywhere. */
      readonly mask: { readonly file: SegmentFile; readonly offset: number } | undefined;
      readonly rescaler: number;
      readonly output: FloatDtype;
    };

/** A file that exists only as a way to make its bytes. */
export interface VirtualFile {
  readonly bytes: number;
  /** Strong: the same tag, the same bytes. Without quotes. */
  readonly etag: string;
  readonly segments: readonly Segment[];
}

/**
 * A task's model, or one shard of it, as safetensors: `tensors` says which. Every byte position follows from names,
 * dtypes and shapes; nothing is read yet.
 */
export function taskModelFile(model: TaskModel, rendering: Rendering, tensors?: readonly string[]): VirtualFile {
  const wanted = tensors && new Set(tensors);
  const parts = model.layout.tensors.filter((tensor) => wanted?.has(tensor.name) ?? true);
  const dtypeOf = (dtype: Dtype) => (rendering.dtype && isFloat(dtype) ? rendering.dtype : dtype);
  const {
    header,
    bytes,
    tensors: placed,
  } = layoutSafetensors(parts.map(({ name, dtype, shape }) => ({ name, shape, dtype: dtypeOf(dtype) })));
  const source = new Map(parts.map((part) => [part.name, part]));
  const origins = createOrigins(model, rendering);
  return {
    bytes,
    etag: tagOf(model, rendering, tensors),
    segments: [
      { kind: 'bytes', bytes: header.byteLength, content: header },
      ...placed.map(({ name, dtype }) => origins(source.get(name)!, dtype)),
    ],
  };
}

/** The segment of each tensor of a task. */
function createOrigins(model: TaskModel, rendering: Rendering) {
  const { base, task } = model;
  const baseTensors = new Map(base.tensors.map((tensor) => [tensor.name, tensor]));
  const baseFiles = new Map(base.files.map((file) => [file.name, file]));
  const rescalerOf = createRescalers(model, rendering);
  const isMasked = stepsOf(model, rendering) !== 'elect';
  const ofBase = (name: string) => {
    const { file, offset, dtype } = baseTensors.get(name)!;
    return { file: { base: baseFiles.get(file)! }, offset, dtype: dtype as FloatDtype };
  };
  const ofArtifact = (artifact: string, place: { offset: number; dtype: string }) => ({
    file: { artifact },
    offset: place.offset,
    dtype: place.dtype as FloatDtype,
  });

  return ({ name, dtype, shape, source }: TaskModel['layout']['tensors'][number], output: Dtype): Segment => {
    const n = elementCount(shape);
    const bytes = n * DTYPE_BYTES[output];
    if (source === 'merged' && model.mask) {
      return {
        kind: 'modulate',
        bytes,
        n,
        base: ofBase(name),
        unified: ofArtifact(bundlePaths.unified, model.output.get(name)!),
        mask: isMasked
          ? { file: { artifact: bundlePaths.mask(task) }, offset: model.mask.get(name)!.offset }
          : undefined,
        rescaler: rescalerOf(name),
        output: output as FloatDtype,
      };
    }
    const from =
      source === 'base'
        ? ofBase(name)
        : source === 'merged'
          ? ofArtifact(bundlePaths.model, model.output.get(name)!)
          : ofArtifact(bundlePaths.extras(task), model.extras.get(name)!);
    const stored: Dtype = source === 'merged' ? from.dtype : dtype;
    if (stored === output) return { kind: 'copy', bytes, file: from.file, offset: from.offset };
    return { kind: 'cast', bytes, n, from, output: output as FloatDtype };
  };
}

/** How far the reconstruction goes, as the request or else the merge says. */
function stepsOf({ fact }: Pick<TaskModel, 'fact'>, { steps }: Rendering): (typeof STEPS)[number] {
  const { method } = fact.request;
  return steps ?? (method.type === 'emr' ? method.steps : undefined) ?? 'rescale';
}

/** λ for each tensor, of the kind that the request or else the merge names; 1 where nothing is rescaled. */
function createRescalers(model: TaskModel, rendering: Rendering): (tensor: string) => number {
  const { fact, figures } = model;
  const { rescaler, scope } = rendering;
  const { method } = fact.request;
  if (method.type !== 'emr' || !('rescalers' in figures)) return () => 1;
  if (stepsOf(model, rendering) !== 'rescale') return () => 1;
  const kind = (rescaler ?? method.rescaler).replace('-', '_') as Rescaler;
  if ((scope ?? method.scope) === 'model') return () => figures.rescalers[kind];
  return (tensor) => {
    const own = figures.tensors[tensor];
    return own && 'rescalers' in own ? own.rescalers[kind] : 0;
  };
}

/** Equal requests have equal bytes (SEMANTICS, "Determinism"), so what was asked for is as good as a hash of the bytes. */
function tagOf({ fact, task }: TaskModel, rendering: Rendering, tensors?: readonly string[]): string {
  const method = fact.request.method;
  const steps = stepsOf({ fact }, rendering);
  const chosen = {
    merge: fact.id,
    task,
    rescaler: rendering.rescaler ?? ('rescaler' in method ? method.rescaler : undefined),
    scope: rendering.scope ?? ('scope' in method ? method.scope : undefined),
    dtype: rendering.dtype,
    tensors,
    // Left out where it is the default: tags that were given before there was a choice stay true.
    ...(steps === 'rescale' ? {} : { steps }),
  };
  return createHash('sha256').update(JSON.stringify(chosen)).digest('hex').slice(0, 32);
}

/**
 * The index of a sharded task whose tensors were asked for in another dtype: the checkpoint's own would state the wrong
 * total. Laid out as `transformers` writes it.
 */
export function shardIndexFile(model: TaskModel, rendering: Rendering): VirtualFile {
  const bytesOf = new Map(
    model.layout.tensors.map(({ name, dtype, shape }) => {
      const output = rendering.dtype && isFloat(dtype) ? rendering.dtype : dtype;
      return [name, elementCount(shape) * DTYPE_BYTES[output]];
    }),
  );
  const weights = model.layout.weights.flatMap(({ file, tensors }) => tensors.map((name) => [name, file] as const));
  const index = {
    metadata: { total_size: [...bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0) },
    weight_map: Object.fromEntries(weights),
  };
  const content = Buffer.from(`${JSON.stringify(index, null, 2)}\n`);
  const etag = createHash('sha256').update(content).digest('hex');
  return { bytes: content.byteLength, etag, segments: [{ kind: 'bytes', bytes: content.byteLength, content }] };
}
