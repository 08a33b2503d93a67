import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DTYPE_BYTES, FLOAT_DTYPES, type FloatDtype, UNIT_ROUNDOFF } from '../../../src/dtype.js';
import { decode, encode } from '../../../src/kernels/cast.js';
import { cholesky, leastIndependent, solveCholesky } from '../../../src/kernels/rules/cholesky.js';
import { drop, type Rescaling } from '../../../src/kernels/rules/dare.js';
import { mergeFisher } from '../../../src/kernels/rules/fisher.js';
import { createRegMean } from '../../../src/kernels/rules/regmean.js';
import { threefry, type Words } from '../../../src/kernels/rules/threefry.js';
import { mergeTies, signBalance } from '../../../src/kernels/rules/ties.js';
import {
  countLower,
  countUpper,
  findRank,
  LOWER_BINS,
  magnitudeOf,
  trim,
  UPPER_BINS,
} from '../../../src/kernels/rules/trim.js';
import { random } from '../../helpers/kernels.js';

const words = (text: string) => text.split(' ').map((word) => Number.parseInt(word, 16)) as unknown as Words;

describe('Threefry-4x32-20', () => {
  // The known answers that its authors published with it: counter, key, words.
  for (const [counter, key, expected] of [
    ['0 0 0 0', '0 0 0 0', '9c6ca96a e17eae66 fc10ecd4 5256a7d8'],
    [
      'ffffffff ffffffff ffffffff ffffffff',
      'ffffffff ffffffff ffffffff ffffffff',
      '2a881696 57012287 f6c7446e a16a6732',
    ],
    [
      '243f6a88 85a308d3 13198a2e 03707344',
      'a4093822 299f31d0 082efa98 ec4e6c89',
      '59cd1dbb b8879579 86b5d00c ac8b6d84',
    ],
  ] as const) {
    it(`has the published words for counter ${counter}`, () => {
      const found = new Uint32Array(4);
      threefry(words(key), words(counter), found);
      assert.deepEqual([...found], [...words(expected)]);
    });
  }

  it('goes on with the next counter, over the end of 32 bits too', () => {
    const key: Words = [1, 2, 3, 4];
    const whole = new Uint32Array(12);
    threefry(key, [0xffff_ffff, 7, 0, 0], whole);
    const single = new Uint32Array(4);
    for (const [i, counter] of (
      [
        [0xffff_ffff, 7, 0, 0],
        [0, 8, 0, 0],
        [1, 8, 0, 0],
      ] as Words[]
    ).entries()) {
      threefry(key, counter, single);
      assert.deepEqual([...whole.subarray(4 * i, 4 * i + 4)], [...single]);
    }
  });
});

describe('DARE', () => {
  const N = 1_000_000;
  const dropped = (key: Words, keep: number, rescaling: Rescaling, values: Float32Array) => {
    const tau = values.slice();
    drop(tau, tau.length, 0, { key, keep, rescaling });
    return tau;
  };
  const ones = new Float32Array(N).fill(1);
  const kept = (tau: Float32Array) => tau.reduce((sum, x) => sum + (x === 0 ? 0 : 1), 0);

  for (const keep of [0.1, 0.5, 0.97]) {
    it(`keeps a share of ${keep} and the mean, within 5 standard deviations`, () => {
      const deviation = Math.sqrt((keep * (1 - keep)) / N);
      const values = random(3)
        .values(N, 1)
        .map((x) => x + 2);
      for (const key of [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [0xffff_ffff, 0, 0, 9],
      ] as Words[]) {
        const plain = dropped(key, keep, { by: 'none' }, ones);
        assert.ok(Math.abs(kept(plain) / N - keep) < 5 * deviation);
        const scaled = dropped(key, keep, { by: 'inverse' }, values);
        const mean = (of: Float32Array) => of.reduce((sum, x) => sum + x, 0) / N;
        const square = values.reduce((sum, x) => sum + x * x, 0) / N;
        assert.ok(Math.abs(mean(scaled) - mean(values)) < 5 * Math.sqrt((square * (1 - keep)) / keep / N));
      }
    });
  }

  it('drops neighbours and tasks independently of one another', () => {
    const keep = 0.3;
    const [a, b] = [
      dropped([1, 0, 0, 0], keep, { by: 'none' }, ones),
      dropped([2, 0, 0, 0], keep, { by: 'none' }, ones),
    ];
    const both = (x: (i: number) => number, y: (i: number) => number, n: number) => {
      let count = 0;
      for (let i = 0; i < n; i++) if (x(i) !== 0 && y(i) !== 0) count++;
      return count / n;
    };
    const bound = (n: number) => 5 * Math.sqrt((keep ** 2 * (1 - keep ** 2)) / n);
    assert.ok(
      Math.abs(
        both(
          (i) => a[i]!,
          (i) => b[i]!,
          N,
        ) -
          keep ** 2,
      ) < bound(N),
      'two tasks',
    );
    for (const step of [1, 2, 3, 4]) {
      const pairs = N / 8;
      const share = both(
        (i) => a[8 * i]!,
        (i) => a[8 * i + step]!,
        pairs,
      );
      assert.ok(Math.abs(share - keep ** 2) < bound(pairs), `neighbours at ${step}`);
    }
  });

  it('decides by place alone: parts are the whole', () => {
    const whole = dropped([9, 9, 9, 9], 0.5, { by: 'inverse' }, ones);
    for (const start of [0, 4, 4096, 65_536]) {
      for (const n of [1, 5, 1023, 1024, 1025]) {
        const part = ones.slice(0, n);
        drop(part, n, start, { key: [9, 9, 9, 9], keep: 0.5, rescaling: { by: 'inverse' } });
        assert.deepEqual(part, whole.slice(start, start + n));
      }
    }
  });

  it('keeps all or nothing at the ends', () => {
    assert.deepEqual(dropped([1, 1, 1, 1], 1, { by: 'inverse' }, ones.subarray(0, 999)), ones.slice(0, 999));
    assert.equal(kept(dropped([1, 1, 1, 1], 0, { by: 'inverse' }, ones.subarray(0, 999))), 0);
  });
});

describe('trim', () => {
  const thresholdOf = (values: Float32Array, rank: number) => {
    const upper = new Uint32Array(UPPER_BINS);
    countUpper(values, values.length, upper);
    const found = findRank(upper, rank);
    const lower = new Float64Array(LOWER_BINS);
    countLower(values, values.length, found.bin, lower);
    return magnitudeOf(found.bin, findRank(lower, found.rank).bin);
  };
  const TINY = 1.401298464324817e-45;
  const inputs = {
    'random values': random(1).values(997, 1),
    'few magnitudes': random(2).picks(997, [0, -0, 0.5, -0.5, 0.25, -1]),
    'far apart': random(3).picks(500, [TINY, -TINY, 3e-39, 1e-30, -1e30, 3.4028234663852886e38, 0]),
    'near each other': Float32Array.from({ length: 300 }, (_, i) => (1 + (i % 97) * 2 ** -23) * (i % 2 ? -1 : 1)),
    'one value': Float32Array.of(-3),
  };
  for (const [what, values] of Object.entries(inputs)) {
    it(`finds the magnitude of every rank as sorting does: ${what}`, () => {
      const sorted = values.map(Math.abs).sort();
      for (let rank = 1; rank <= values.length; rank++) {
        const threshold = thresholdOf(values, rank);
        assert.equal(threshold, sorted[rank - 1]);
        const left = values.slice();
        trim(left, left.length, threshold);
        values.forEach((value, i) => {
          assert.equal(left[i], Math.abs(value) >= threshold ? value : 0);
        });
      }
    });
  }

  it('keeps all at 0 and none at infinity', () => {
    const values = Float32Array.of(1, 0, -2);
    trim(values, 3, 0);
    assert.deepEqual([...values], [1, 0, -2]);
    trim(values, 3, Infinity);
    assert.deepEqual([...values], [0, 0, 0]);
  });
});

describe('TIES', () => {
  // Columns: all agree, two against one, a tie, nothing.
  const taus = [Float32Array.of(1, 2, 3, 0), Float32Array.of(2, -1, -3, 0), Float32Array.of(0, 1, 0, 0)];
  const base = Float32Array.of(10, 10, 10, 10);
  const run = (more: Partial<Parameters<typeof mergeTies>[3]>) => {
    const merged = new Float32Array(4);
    const plain = { weights: Float32Array.of(1, 1, 1), weighted: 'after', zero: 1, per: 'count', lambda: 1 } as const;
    mergeTies(base, taus, 4, { ...plain, ...more }, merged);
    return [...merged];
  };

  it('merges by hand', () => {
    assert.deepEqual(run({}), [11.5, 11.5, 13, 10]);
    assert.deepEqual(run({ zero: -1 }), [11.5, 11.5, 7, 10]);
    assert.deepEqual(run({ per: 'none', lambda: 0.5 }), [11.5, 11.5, 11.5, 10]);
    assert.deepEqual(run({ weights: Float32Array.of(2, 1, 4), per: 'count' }), [12, 14, 16, 10]);
    // Weighed before: 2·2 − 8 + 1 elects minus in the second column, and 6 − 24 in the third.
    const weights = Float32Array.of(2, 8, 1);
    assert.deepEqual(run({ weights, weighted: 'before', per: 'weights' }), [
      Math.fround(10 + Math.fround(18 / 10)),
      9,
      7,
      10,
    ]);
  });

  it('counts the signs of the sums', () => {
    assert.equal(signBalance(taus, 4), 2);
    assert.equal(signBalance([Float32Array.of(-1, -2, 3)], 3), -1);
  });
});

describe('Fisher merging', () => {
  it('weighs by the diagonals, none below the floor', () => {
    const merged = new Float32Array(3);
    const weights = [Float32Array.of(1, 1, 1), Float32Array.of(2, 2, 2)];
    const diagonals = [Float32Array.of(3, 0, 1e-20), Float32Array.of(1, 1, 1e-20)];
    mergeFisher(weights, diagonals, 3, { coefficients: [1, 1], floor: 1e-6 }, merged);
    assert.deepEqual([...merged], [1.25, Math.fround((1e-6 + 2) / (1 + 1e-6)), 1.5]);
    mergeFisher(weights, diagonals, 1, { coefficients: [1, 3], floor: 1e-6 }, merged);
    assert.equal(merged[0], 1.5);
  });
});

describe('Cholesky and RegMean', () => {
  /** XᵀX of random X with more rows than columns. */
  const gramOf = (d: number, seed: number) => {
    const x = random(seed).values(3 * d * d, 1);
    const gram = new Float64Array(d * d);
    for (let r = 0; r < 3 * d; r++) {
      for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) gram[i * d + j]! += x[r * d + i]! * x[r * d + j]!;
    }
    return gram;
  };

  it('solves what it multiplied', () => {
    for (const d of [1, 2, 7, 40]) {
      const gram = gramOf(d, d);
      const wanted = Float64Array.from(random(99).values(3 * d, 1));
      const sides = new Float64Array(3 * d);
      for (let s = 0; s < 3; s++) {
        for (let i = 0; i < d; i++) {
          for (let k = 0; k < d; k++) sides[s * d + i]! += gram[i * d + k]! * wanted[s * d + k]!;
        }
      }
      assert.equal(cholesky(gram, d, 1e-12), undefined);
      solveCholesky(gram, d, sides);
      sides.forEach((x, i) => {
        assert.ok(Math.abs(x - wanted[i]!) < 1e-8);
      });
    }
  });

  it('names the row where a matrix is singular', () => {
    assert.equal(cholesky(new Float64Array(9), 3, 1e-12), 0);
    assert.equal(cholesky(Float64Array.of(1, 0, 0, 0, 0, 0, 0, 0, 1), 3, 1e-12), 1);
    const gram = gramOf(5, 1);
    for (let i = 0; i < 5; i++) gram[i * 5 + 4] = gram[i * 5 + 1]!;
    for (let i = 0; i < 5; i++) gram[4 * 5 + i] = gram[5 + i]!;
    assert.equal(cholesky(gram, 5, 1e-12), 4);
    assert.equal(cholesky(Float64Array.of(1, 2, 2, 1), 2, 1e-12), 1); // indefinite
    assert.equal(cholesky(Float64Array.of(Number.NaN), 1, 1e-12), 0);
  });

  it('gives back a weight that all tasks share, in either orientation', () => {
    const [inputs, outputs] = [6, 4];
    const weight = random(4).values(inputs * outputs, 1);
    for (const orientation of ['out_in', 'in_out'] as const) {
      for (const reduce of [0, 0.5, 1]) {
        const system = createRegMean(inputs, outputs, orientation, reduce, UNIT_ROUNDOFF.F64);
        for (const t of [1, 2, 3]) system.add(gramOf(inputs, t), weight);
        const merged = new Float32Array(weight.length);
        assert.equal(system.solve(merged), undefined);
        merged.forEach((x, i) => {
          assert.ok(Math.abs(x - weight[i]!) < 1e-6);
        });
      }
    }
  });

  it('finds the row that depends most on the others, wherever it is', () => {
    // Row 0 is what is left of itself by rows 1 and 2; the last pivot sees little of it.
    const matrix = Float64Array.of(1, 0, 0, 0.8, 1, 0, 0.1, 0, 1);
    assert.equal(cholesky(matrix, 3, 0), undefined);
    const { row, left } = leastIndependent(matrix, 3);
    assert.equal(row, 0);
    assert.ok(Math.abs(left - (1 - 0.64 - 0.01)) < 1e-12);
  });

  describe('with rounded Gram matrices', () => {
    const [d, tasks] = [30, 3];
    /** Gram matrices as a dtype stores them, of inputs that `shape` made from random ones. */
    const solve = (seed: number, dtype: FloatDtype, reduce: number, shape: (x: Float64Array) => void) => {
      const system = createRegMean(d, 1, 'out_in', reduce, UNIT_ROUNDOFF[dtype]);
      const values = random(seed);
      for (let t = 0; t < tasks; t++) {
        const gram = new Float64Array(d * d);
        for (let r = 0; r < 4 * d; r++) {
          const x = Float64Array.from(values.values(d, 1));
          shape(x);
          for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) gram[i * d + j]! += (x[i]! * x[j]!) / (4 * d);
        }
        system.add(stored(gram, dtype), values.values(d, 1));
      }
      return system.solve(new Float32Array(d));
    };
    const stored = (gram: Float64Array, dtype: FloatDtype) => {
      if (dtype === 'F64') return gram;
      const values = Float32Array.from(gram);
      const bytes = new Uint8Array(values.length * DTYPE_BYTES[dtype]);
      encode(values, dtype, bytes);
      decode(bytes, dtype, values);
      return values;
    };
    const centre = (x: Float64Array) => {
      const mean = x.reduce((sum, value) => sum + value, 0) / d;
      x.forEach((value, i) => {
        x[i] = value - mean;
      });
    };
    /** The others add up to the first but for a last one that hardly counts. */
    const hide = (x: Float64Array) => {
      x[0] = x[1]! - x[2]! + 1e-3 * x[d - 1]!;
    };

    it('refuses what only rounding makes regular, always', () => {
      for (const dtype of FLOAT_DTYPES) {
        for (let seed = 1; seed <= 12; seed++) {
          for (const shape of [centre, hide]) {
            assert.notEqual(solve(seed, dtype, 1, shape), undefined, `${dtype}, seed ${seed}, ${shape.name}`);
          }
        }
      }
    });

    it('refuses nothing that is regular, or that reduce makes so', () => {
      for (const dtype of FLOAT_DTYPES) {
        for (let seed = 1; seed <= 4; seed++) {
          assert.equal(
            solve(seed, dtype, 1, () => undefined),
            undefined,
            `${dtype}, seed ${seed}`,
          );
          for (const reduce of [0, 0.5, 0.9]) {
            for (const shape of [centre, hide]) {
              assert.equal(solve(seed, dtype, reduce, shape), undefined, `${dtype}, seed ${seed}, ${reduce}`);
            }
          }
        }
      }
    });
  });
});
