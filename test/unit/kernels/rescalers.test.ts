import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createScalarEngine } from '../../../src/kernels/scalar.js';
import { loadSimdEngine } from '../../../src/kernels/simd.js';
import { taskSums, unifiedSums } from '../../../src/kernels/sums.js';
import type { Engine } from '../../../src/kernels/types.js';
import {
  addSums,
  cosines,
  distances,
  rescalers,
  type TensorSums,
  tensorRescalers,
} from '../../../src/merge/rescalers.js';
import { runEmr } from '../../helpers/kernels.js';

/** The sums of every task of one merged tensor. */
function sumsOf(
  engine: Engine,
  rows: readonly ArrayLike<number>[],
  zeroSign: 'zero' | 'negative' = 'zero',
): TensorSums[] {
  const { sums } = runEmr(engine, { rows, zeroSign });
  return rows.slice(1).map((_, t) => ({ n: rows[0]!.length, ...taskSums(sums, t), ...unifiedSums(sums) }));
}

const zeros = (n: number) => new Array<number>(n).fill(0);

describe('rescalers', () => {
  const scalar = createScalarEngine();

  it('have the figures of the counter-example: Eq. 13 can be further away than no rescaling, l2 cannot', () => {
    const [first] = sumsOf(scalar, [zeros(3), [1, -1, -1], [1, 2, 2]]);
    assert.deepEqual(rescalers([first!]), { global: 3, tensor_mean: 3, l2: 1 });
    assert.deepEqual(distances([first!]), {
      unified: 18,
      masked: 2,
      rescaled: { global: 6, tensor_mean: 6, l2: 2 },
    });
    const { unified, masked, rescaled } = cosines([first!]);
    assert.ok(Math.abs(unified - -3 / Math.sqrt(27)) < 1e-15);
    for (const cosine of [masked, ...Object.values(rescaled)]) assert.ok(Math.abs(cosine - 1 / Math.sqrt(3)) < 1e-15);
  });

  it('are 0 where nothing is aligned or the task equals the base', () => {
    const [idle] = sumsOf(scalar, [zeros(4), zeros(4), [1, 2, 3, 4]]);
    assert.deepEqual(rescalers([idle!]), { global: 0, tensor_mean: 0, l2: 0 });
    assert.deepEqual(distances([idle!]).rescaled, { global: 0, tensor_mean: 0, l2: 0 });
    assert.equal(cosines([idle!]).masked, 0);
    const [opposed] = sumsOf(scalar, [zeros(2), [-1, -1], [4, 4]]);
    assert.deepEqual(rescalers([opposed!]), { global: 0, tensor_mean: 0, l2: 0 });
    assert.equal(distances([opposed!]).rescaled.l2, 2);
  });

  it('weigh a small and a large tensor alike in tensor_mean, and not in global', () => {
    const small = sumsOf(scalar, [[0], [3], [1]])[0]!; // u = 3
    const large = sumsOf(scalar, [zeros(4), [1, 1, 1, 1], [3, 3, 3, 3]])[0]!; // u = 3
    assert.equal(rescalers([small, large]).global, 7 / 15);
    assert.equal(rescalers([small, large]).tensor_mean, (3 + 1) / (3 + 3));
    const empty = addSums([]);
    assert.deepEqual(rescalers([small, empty, large]), rescalers([small, large]));
    assert.equal(tensorRescalers(large).global, 1 / 3);
  });

  it('in scope tensor bring l2 at least as near as in scope model', () => {
    const tensors = [
      sumsOf(scalar, [
        [0, 0],
        [3, 1],
        [1, 2],
      ])[0]!,
      sumsOf(scalar, [
        [0, 0],
        [1, -1],
        [4, -8],
      ])[0]!,
    ];
    assert.ok(distances(tensors, 'tensor').rescaled.l2 < distances(tensors, 'model').rescaled.l2);
  });
});

describe('distances', async () => {
  const engines = [createScalarEngine(), await loadSimdEngine()];
  const value = fc.oneof(fc.float({ noNaN: true, min: -(2 ** 50), max: 2 ** 50 }), fc.constantFrom(0, -0, 1, -1, 0.5));
  const model = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 40 }))
    .chain(([tasks, n]) =>
      fc.array(fc.array(value, { minLength: n, maxLength: n }), { minLength: tasks + 1, maxLength: tasks + 1 }),
    );

  for (const engine of engines) {
    it(`shrink by the mask, and again by l2 (${engine.name})`, () => {
      fc.assert(
        fc.property(model, fc.constantFrom('zero' as const, 'negative' as const), (rows, zeroSign) => {
          for (const sums of sumsOf(engine, rows, zeroSign)) {
            const { unified, masked, rescaled } = distances([sums]);
            // Room for the rounding of sums (1e-6 relative), of which a distance is a difference.
            const room = 4e-6 * (sums.tau_sq + sums.u_sq);
            assert.ok(masked <= unified + room, `masked ${masked}, unified ${unified}`);
            assert.ok(rescaled.l2 <= masked + room, `l2 ${rescaled.l2}, masked ${masked}`);
            assert.ok(rescalers([sums]).l2 <= 1 + 4e-6);
          }
        }),
        { seed: 20240517 },
      );
    });
  }
});
