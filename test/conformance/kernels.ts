import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DTYPE_BYTES, FLOAT_DTYPES, type FloatDtype, OUTPUT_DTYPES } from '../../src/dtype.js';
import { createScalarEngine } from '../../src/kernels/scalar.js';
import { type Engine, type Rule, TILE_ELEMENTS } from '../../src/kernels/types.js';
import {
  assertSameMerge,
  bytesOf,
  type MergeCase,
  random,
  randomCase,
  runEmr,
  runLinear,
  runRule,
} from '../helpers/kernels.js';

/** Lengths around every size that a kernel works in: vectors, mask bytes, steps, blocks and tiles. */
const LENGTHS = [1, 3, 4, 5, 7, 8, 15, 16, 17, 31, 207, 208, 209, 255, 256, 257, 1000, 65535, 65536, 65537, 131073];

const F32_MAX = 3.4028234663852886e38;
const TINY = 1.401298464324817e-45;

/** The battery that every engine passes; the scalar engine is the reference for u, masks and faults, bit for bit. */
export function testEngine(name: string, load: () => Promise<Engine>): void {
  describe(`engine ${name}`, async () => {
    const engine = await load();
    const reference = createScalarEngine();
    const same = (input: MergeCase, what: string) =>
      assertSameMerge(runEmr(engine, input), runEmr(reference, input), `${name}, ${what}`);

    it('agrees with the reference at every length', () => {
      for (const n of LENGTHS) same(randomCase(n, { tasks: 3, seed: n }), `n = ${n}`);
    });

    it('agrees for every number of tasks', () => {
      for (const tasks of [1, 2, 8, 30]) same(randomCase(777, { tasks, seed: tasks }), `N = ${tasks}`);
    });

    it('agrees for every mix of input and output dtypes', () => {
      for (const [i, base] of FLOAT_DTYPES.entries()) {
        for (const [j, task] of FLOAT_DTYPES.entries()) {
          for (const output of OUTPUT_DTYPES) {
            const dtypes = [base, task, FLOAT_DTYPES[(i + j) % 4]!];
            same(randomCase(301, { dtypes, output, seed: 7 }), `${dtypes} to ${output}`);
          }
        }
      }
    });

    it('takes both readings of sgn(0), with zeros, cancellations and negative zeros', () => {
      const values = [-0, 0, 0.25, -0.25, 0.5];
      const rows = [0, 1, 2, 3].map((row) => random(row).picks(4099, values));
      for (const zeroSign of ['zero', 'negative'] as const) {
        same({ rows, zeroSign }, zeroSign);
        same({ rows, zeroSign, output: 'F16' }, `${zeroSign} in F16`);
      }
    });

    it('elects by hand: sign of the sum, largest magnitude that agrees, +0 elsewhere', () => {
      const rows = [
        [1, 0, 0, 0, -0],
        [2, -3, 2, 0, 0],
        [4, 1, -2, 0, -0],
      ];
      const zero = runEmr(engine, { rows, zeroSign: 'zero' });
      assert.deepEqual([...new Float32Array(zero.output.buffer)], [3, -3, 0, 0, 0]);
      assert.deepEqual(
        zero.masks.map((mask) => mask[0]),
        [0b00011, 0b00001],
      );
      const negative = runEmr(engine, { rows, zeroSign: 'negative' });
      assert.deepEqual([...new Float32Array(negative.output.buffer)], [3, -3, -2, 0, 0]);
      assert.deepEqual(
        negative.masks.map((mask) => mask[0]),
        [0b00011, 0b00101],
      );
    });

    it('has the sums of the counter-example in docs/semantics.md', () => {
      const rows = [
        [0, 0, 0],
        [1, -1, -1],
        [1, 2, 2],
      ];
      const { sums } = runEmr(engine, { rows });
      assert.deepEqual([...sums], [3, 3, 1, 1, 1, 4, 1, 2, 5, 9, 5, 9, 9, 0, 3, 0, 5, 9]);
    });

    it('keeps subnormal and huge magnitudes, whose products are beyond f32', () => {
      for (const scale of [TINY, 1e-42, 1e-30, 1e-20, 1e19, 1e30, 1e38]) {
        const rows = [0, 1, 2, 3].map((row) => random(row).values(1500, scale));
        same({ rows }, `scale ${scale}`);
      }
      // One task alone out of range, next to tasks within it.
      const rows = [random(1).values(600, 1e-3), random(2).values(600, 1e25), random(3).values(600, 1e-25)];
      same({ rows: [new Float32Array(600), ...rows] }, 'mixed scales');
      same({ rows: rows.map((row) => row.map((x) => Math.round(x / 1e-30) * TINY)) }, 'subnormal steps');
    });

    it('gives a task that equals the base, and an empty mask, exact zeros', () => {
      const base = random(5).values(500, 1);
      const { masks, sums } = runEmr(engine, { rows: [base, base, base.map((x) => x + 1)] });
      assert.ok(masks[0]!.every((byte) => byte === 0));
      assert.ok(sums.subarray(0, 8).every((sum) => sum === 0));
    });

    it('does not depend on how a tensor is split at multiples of a tile', () => {
      const input = randomCase(3 * TILE_ELEMENTS, { tasks: 2, seed: 11 });
      const whole = runEmr(engine, input);
      const parts = [0, 1, 2].map((k) => {
        const rows = input.rows.map((row) => Array.from(row).slice(k * TILE_ELEMENTS, (k + 1) * TILE_ELEMENTS));
        return runEmr(engine, { ...input, rows });
      });
      const joined = (pick: (part: (typeof parts)[0]) => Uint8Array) => Buffer.concat(parts.map(pick));
      assert.deepEqual(
        Buffer.from(whole.output),
        joined((part) => part.output),
      );
      assert.deepEqual(
        bytesOf(whole.sums),
        joined((part) => bytesOf(part.sums)),
      );
      for (const t of [0, 1])
        assert.deepEqual(
          Buffer.from(whole.masks[t]!),
          joined((part) => part.masks[t]!),
        );
    });

    it('can be used again: nothing is left of an earlier, longer tile', () => {
      const workspace = engine.createMerge({ tasks: 2, elements: TILE_ELEMENTS, wide: true });
      runEmr(engine, randomCase(5000, { tasks: 2, seed: 1 }), workspace);
      for (const n of [9, 1001]) {
        const input = randomCase(n, { dtypes: ['BF16', 'F64', 'F16'], seed: 3 });
        assertSameMerge(runEmr(engine, input, workspace), runEmr(reference, input), `n = ${n} after 5000`);
      }
    });

    it('names the first input that is not finite', () => {
      const faulty = (
        n: number,
        faults: [row: number, index: number, value: number][],
        more: Partial<MergeCase> = {},
      ) => {
        const input = { ...randomCase(n, { tasks: 3, seed: 2 }), ...more };
        for (const [row, index, value] of faults) (input.rows[row] as Float32Array)[index] = value;
        return runEmr(engine, input).fault;
      };
      for (const value of [Number.NaN, Infinity, -Infinity]) {
        assert.deepEqual(faulty(1, [[0, 0, value]]), { kind: 'non_finite', input: 0, index: 0 });
        assert.deepEqual(
          faulty(70_000, [
            [3, 69_999, value],
            [2, 66_000, value],
          ]),
          {
            kind: 'non_finite',
            input: 2,
            index: 66_000,
          },
        );
        assert.deepEqual(
          faulty(300, [
            [3, 7, value],
            [1, 7, value],
          ]),
          { kind: 'non_finite', input: 1, index: 7 },
        );
      }
      assert.deepEqual(
        faulty(40, [
          [0, 9, -F32_MAX],
          [2, 9, F32_MAX],
        ]),
        { kind: 'overflow', input: 2, index: 9 },
      );
      assert.deepEqual(
        faulty(40, [
          [0, 9, -F32_MAX],
          [2, 9, F32_MAX],
          [1, 9, Number.NaN],
        ]),
        {
          kind: 'non_finite',
          input: 1,
          index: 9,
        },
      );
      assert.deepEqual(faulty(40, [[2, 3, 1e5]], { output: 'F16' }), { kind: 'result_overflow', input: 2, index: 3 });
    });

    it('takes sums beyond f32 for what they are, and not for a fault', () => {
      const { fault, sums } = runEmr(engine, {
        rows: [
          [0, 0],
          [3e38, 3e38],
          [3e38, 3e38],
        ],
      });
      assert.equal(fault, undefined);
      assert.equal(sums[0], 2 * Math.fround(3e38));
    });

    it('combines linearly as the reference does', () => {
      for (const of of ['task_vectors', 'weights'] as const) {
        for (const output of FLOAT_DTYPES) {
          for (const n of [1, 17, 1000]) {
            const input = randomCase(n, { dtypes: ['F32', 'BF16', 'F64', 'F32'], seed: n });
            const tile = { of, output, coefficients: new Float32Array([0.3, 1, -0.7]), divisor: 3 };
            const [actual, expected] = [runLinear(engine, input, tile), runLinear(reference, input, tile)];
            assertSameMerge(actual, expected, `${name}, ${of} to ${output}, n = ${n}`);
          }
        }
      }
    });

    it('averages by hand, and names the task that is too heavy', () => {
      const input: MergeCase = {
        rows: [
          [1, 1],
          [2, 4],
          [4, 8],
        ],
      };
      const tile = { of: 'weights', output: 'F32', coefficients: new Float32Array([1, 1]), divisor: 2 } as const;
      assert.deepEqual([...new Float32Array(runLinear(engine, input, tile).output.buffer)], [3, 6]);
      const heavy = {
        ...tile,
        of: 'task_vectors',
        output: 'F16',
        coefficients: new Float32Array([1, 30_000]),
      } as const;
      assert.deepEqual(runLinear(engine, input, heavy).fault, { kind: 'result_overflow', input: 2, index: 0 });
    });

    it('takes a model from a rule as the reference does, at every length and for every dtype', () => {
      const middle: Rule = (values, n, merged) => {
        for (let i = 0; i < n; i++) merged[i] = (values[0]![i]! + values[1]![i]! + values[2]![i]!) / 3;
      };
      const check = (input: MergeCase, rule: Rule, output: FloatDtype, what: string) =>
        assertSameMerge(
          runRule(engine, input, rule, output),
          runRule(reference, input, rule, output),
          `${name}, ${what}`,
        );
      for (const n of LENGTHS) check(randomCase(n, { tasks: 3, seed: n }), middle, 'F32', `n = ${n}`);
      for (const output of FLOAT_DTYPES) {
        check(randomCase(1000, { dtypes: ['BF16', 'F64', 'F16'], seed: 5 }), middle, output, `to ${output}`);
      }
      const values = [-0, 0, 0.25, -0.25];
      const rows = [0, 1, 2].map((row) => random(row).picks(4099, values));
      check({ rows }, (all, n, merged) => merged.set(all[1]!.subarray(0, n)), 'F16', 'with zeros');
    });

    it('gives a rule its inputs as f32, statistics behind the tasks', () => {
      const workspace = engine.createMerge({ tasks: 2, elements: TILE_ELEMENTS, wide: true, statistics: 2 });
      const rows = [0, 1, 2, 3, 4].map((row) => random(row).values(37, 1).map(Math.abs));
      const dtypes = ['F32', 'BF16', 'F64', 'F16', 'F32'] as const;
      rows.forEach((row, slot) => {
        fillFloats(workspace.input(slot, 37, dtypes[slot]!), dtypes[slot]!, row);
      });
      const tile = { n: 37, base: 'F32', tasks: ['BF16', 'F64'], statistics: ['F16', 'F32'] } as const;
      const found: number[][] = [];
      const rule: Rule = (values, n, merged) => {
        found.push(...values.map((value) => [...value.subarray(0, n)]));
        merged.fill(0, 0, n);
      };
      assert.equal(workspace.rule({ ...tile, rule, output: 'F32' }), undefined);
      const scale = { F32: 0, F64: 0, BF16: 2 ** -8, F16: 2 ** -11 };
      assert.equal(found.length, 5);
      rows.forEach((row, slot) => {
        row.forEach((value, i) => {
          assert.ok(Math.abs(found[slot]![i]! - value) <= scale[dtypes[slot]!] * value, `slot ${slot}, ${i}`);
        });
      });
    });

    it('names what is wrong under a rule: an input, a result beyond the dtype, a statistic', () => {
      const keep: Rule = (values, n, merged) => merged.set(values[1]!.subarray(0, n));
      const rows = [
        [1, 1, 1, 1, 1],
        [2, 3, 1e5, 1, 1],
        [2, 3, 2e5, Number.NaN, 1],
      ];
      assert.deepEqual(runRule(engine, { rows }, keep).fault, { kind: 'non_finite', input: 2, index: 3 });
      const sound = rows.map((row) => row.slice(0, 3));
      assert.deepEqual(runRule(engine, { rows: sound }, keep, 'F16').fault, {
        kind: 'result_overflow',
        input: 2,
        index: 2,
      });
      for (const value of [Number.NaN, Infinity, -1]) {
        const workspace = engine.createMerge({ tasks: 1, elements: TILE_ELEMENTS, wide: false, statistics: 1 });
        for (const slot of [0, 1]) fillFloats(workspace.input(slot, 3, 'F32'), 'F32', Float32Array.of(1, 2, 3));
        fillFloats(workspace.input(2, 3, 'F32'), 'F32', Float32Array.of(0, 1, value));
        const tile = { n: 3, base: 'F32', tasks: ['F32'], statistics: ['F32'], output: 'F32' } as const;
        assert.deepEqual(workspace.rule({ ...tile, rule: keep }), { kind: 'statistic', input: 1, index: 2 });
      }
    });

    it('reconstructs as the reference does, for every mix of dtypes', () => {
      for (const base of FLOAT_DTYPES) {
        for (const unified of OUTPUT_DTYPES) {
          for (const output of FLOAT_DTYPES) {
            for (const n of [1, 7, 8, 9, 31, 1000]) {
              const run = (e: Engine) => {
                const workspace = e.createReconstruct(1024);
                const fill = random(n);
                fillFloats(workspace.base(n, base), base, fill.values(n, 1));
                fillFloats(workspace.unified(n, unified), unified, fill.values(n, 0.01));
                for (const i of workspace.mask(n).keys()) workspace.mask(n)[i] = fill.integer(256);
                return Buffer.from(workspace.run({ n, base, unified, output, rescaler: 1.2345 }));
              };
              assert.deepEqual(run(engine), run(reference), `${base} + ${unified} to ${output}, n = ${n}`);
            }
          }
        }
      }
    });

    it('keeps the base bit for bit where the mask is 0: negative zeros, subnormals, every last bit of an F64', () => {
      for (const dtype of FLOAT_DTYPES) {
        const workspace = engine.createReconstruct(64);
        const base = workspace.base(24, dtype);
        for (const i of base.keys()) base[i] = (i * 37 + 1) & 0x3f; // no exponent of all ones: every value is finite
        base[DTYPE_BYTES[dtype] - 1] = 0x80;
        base.fill(0, 0, DTYPE_BYTES[dtype] - 1);
        fillFloats(workspace.unified(24, 'F32'), 'F32', new Float32Array(24).fill(1));
        workspace.mask(24).fill(0);
        const result = workspace.run({ n: 24, base: dtype, unified: 'F32', output: dtype, rescaler: 2 });
        assert.deepEqual(Buffer.from(result), Buffer.from(base), dtype);
      }
    });
  });
}

function fillFloats(target: Uint8Array, dtype: FloatDtype, values: Float32Array): void {
  target.set(bytesOf(values, dtype));
}
