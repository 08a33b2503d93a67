import type * as TensorFlow from '@tensorflow/tfjs-core';
import type { MergeMath } from './array-merge.js';
import type { Move } from './array-reconstruct.js';
import { repairSums } from './repair.js';
import { sumRows } from './sums.js';
import { sumsLength, TASK_SUMS, TILE_ELEMENTS, UNIFIED_SUMS } from './types.js';

type Tf = typeof TensorFlow;
type Vector = TensorFlow.Tensor1D;

/**
 * Elements that are added up in f32 before f64 takes over. A term sees one multiplication and at most 15 additions
 * whatever the order of a back end, so a sum of non-negative terms is off by less than 16 × 2^-24 < 1e-6.
 */
const ROW = 16;

/** The formulas of docs/semantics.md as operations on whole tiles. Every operation rounds to f32, as there. */
export function createTensorMath(tf: Tf): MergeMath {
  const vector = (values: Float32Array, n: number): Vector => tf.tensor1d(values.subarray(0, n));
  const same = (a: TensorFlow.Tensor, b: TensorFlow.Tensor) =>
    tf.logicalOr(
      tf.logicalAnd(tf.greater(a, 0), tf.greater(b, 0)), //
      tf.logicalAnd(tf.less(a, 0), tf.less(b, 0)),
    );
  /** Σ over each ROW, in f32; the caller adds the rows in f64. */
  const rows = (x: TensorFlow.Tensor) => tf.sum(tf.reshape(x, [-1, ROW]), 1).dataSync();

  return {
    elect(values, n, zeroSign, u) {
      tf.tidy(() => {
        const [base, ...weights] = values.map((row) => vector(row, n));
        const taus = weights.map((weight) => tf.sub(weight, base!));
        const s = taus.reduce((sum, tau) => tf.add(sum, tau));
        const zeros = tf.zerosLike(s);
        const high = taus.reduce((most, tau) => tf.maximum(most, tau), zeros);
        const low = taus.reduce((least, tau) => tf.minimum(least, tau), zeros);
        const negative = zeroSign === 'negative' ? tf.lessEqual(s, 0) : tf.less(s, 0);
        u.set(tf.where(tf.greater(s, 0), high, tf.where(negative, low, zeros)).dataSync());
      });
    },

    combine(values, n, tile, combined) {
      const { of, coefficients, divisor } = tile;
      tf.tidy(() => {
        const [base, ...weights] = values.map((row) => vector(row, n));
        const terms = weights.map((weight, t) => {
          const x = of === 'weights' ? weight : tf.sub(weight, base!);
          return tf.mul(x, tf.scalar(coefficients[t]!));
        });
        const sum = terms.reduce((all, term) => tf.add(all, term));
        combined.set((of === 'weights' ? tf.div(sum, tf.scalar(divisor)) : tf.add(base!, sum)).dataSync());
      });
    },

    maskAndSum(values, u, n, masks, sums) {
      const tasks = values.length - 1;
      const length = sumsLength(tasks);
      const whole = Math.ceil(n / ROW) * ROW;
      // Zeros in base, task and u change neither a sum nor a mask.
      const padded = (row: Float32Array) => vector(new Float32Array(row.fill(0, n, whole).subarray(0, whole)), whole);
      const put = (column: number, partial: ArrayLike<number>, each: number) => {
        for (let i = 0; i < partial.length; i++) sums[tileOf(i * each) * length + column]! += partial[i]!;
      };
      sums.fill(0, 0, sumRows(n) * length);
      tf.tidy(() => {
        const unified = padded(u);
        const size = tf.abs(unified);
        const square = tf.square(unified);
        put(length - UNIFIED_SUMS.length, rows(size), ROW);
        put(length - UNIFIED_SUMS.length + 1, rows(square), ROW);
        const base = padded(values[0]!);
        for (let task = 0; task < tasks; task++) {
          tf.tidy(() => {
            const tau = tf.sub(padded(values[task + 1]!), base);
            const aligned = same(tau, unified);
            const conflict = same(tf.neg(tau), unified);
            const product = tf.abs(tf.mul(tau, unified));
            const zeros = tf.zerosLike(tau);
            const within = (where: TensorFlow.Tensor, x: TensorFlow.Tensor) => rows(tf.where(where, x, zeros));
            const bits = aligned.dataSync();
            const columns = [
              rows(tf.abs(tau)),
              rows(tf.square(tau)),
              within(aligned, size),
              within(aligned, square),
              within(aligned, product),
              within(conflict, product),
            ];
            const at = task * TASK_SUMS.length;
            columns.forEach((partial, column) => {
              put(at + column, partial, ROW);
            });
            put(at + 6, bits, 1);
            put(at + 7, conflict.dataSync(), 1);
            pack(bits, n, masks[task]!);
          });
        }
      });
      repairSums(sums.subarray(0, sumRows(n) * length), values, u, n);
    },
  };
}

const tileOf = (index: number) => Math.floor(index / TILE_ELEMENTS);

/** 0 and 1 of n elements as bits, LSB first. */
function pack(bits: ArrayLike<number>, n: number, mask: Uint8Array): void {
  mask.fill(0, 0, (n + 7) >> 3);
  for (let i = 0; i < n; i++) mask[i >> 3]! |= bits[i]! << (i & 7);
}

export function createTensorMove(tf: Tf): Move {
  return (values, u, n, masked, rescaler) => {
    tf.tidy(() => {
      const base = tf.tensor1d(values.subarray(0, n));
      const mask = tf.tensor1d(Array.from({ length: n }, (_, i) => masked(i)));
      const moved = tf.add(base, tf.mul(tf.tensor1d(u.subarray(0, n)), tf.scalar(rescaler)));
      values.set(tf.where(mask, moved, base).dataSync());
    });
  };
}
