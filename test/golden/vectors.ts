import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { elementCount, type FloatDtype, type OutputDtype } from '../../src/dtype.js';
import type { Rescalers } from '../../src/merge/rescalers.js';

/** What generate.py wrote, and where. */
export const GOLDEN_FOLDER = fileURLToPath(new URL('../../../test/golden/', import.meta.url));

interface Closeness {
  readonly distance: number;
  readonly cosine: number;
}

export interface TaskFigures {
  readonly rescalers: { readonly model: Rescalers; readonly tensor: readonly Rescalers[] };
  /** `unified`, `masked`, and `<scope>/<rescaler>`. */
  readonly steps: Readonly<Record<string, Closeness>>;
  readonly aligned: readonly number[];
  readonly conflicts: readonly number[];
}

export interface GoldenCase {
  readonly case: string;
  /** Of base and tasks. */
  readonly dtypes: readonly FloatDtype[];
  readonly output: OutputDtype;
  readonly figures: Readonly<Record<'zero' | 'negative', readonly TaskFigures[]>>;
}

export function readGolden() {
  const file = readFileSync(`${GOLDEN_FOLDER}vectors.safetensors`);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start));
  const [first, ...cases] = readFileSync(`${GOLDEN_FOLDER}figures.jsonl`, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const tensors = Object.entries(first.tensors as Record<string, number[]>);
  return {
    cases: cases as GoldenCase[],
    /** Names and numbers of elements, in the order of the figures. */
    tensors: tensors.map(([name, shape]) => ({ name, n: elementCount(shape) })),
    bytes(name: string): Buffer {
      const [from, to] = header[name].data_offsets;
      return file.subarray(start + from, start + to);
    },
  };
}
