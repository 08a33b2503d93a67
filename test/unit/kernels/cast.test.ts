import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FloatDtype } from '../../../src/dtype.js';
import { decode, encode } from '../../../src/kernels/cast.js';
import { random } from '../../helpers/kernels.js';

const bytesOf = (values: ArrayBufferView) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

function cast(value: number, dtype: 'F16' | 'BF16'): number {
  const bits = new Uint16Array(1);
  encode(Float32Array.of(value), dtype, bytesOf(bits));
  return bits[0]!;
}

/** What a finite F16 or BF16 means, by its definition. */
function meaning(bits: number, exponentBits: number, fractionBits: number): number {
  const bias = 2 ** (exponentBits - 1) - 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const magnitude = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
  return bits & 0x8000 ? -magnitude : magnitude;
}

for (const [dtype, exponentBits, fractionBits] of [
  ['F16', 5, 10],
  ['BF16', 8, 7],
] as const) {
  const special = (2 ** exponentBits - 1) << fractionBits;
  const all = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
  const values = new Float32Array(65_536);
  decode(bytesOf(all), dtype, values);

  describe(`casts of ${dtype}`, () => {
    it('gives every finite number its value, and back its bits', () => {
      const back = new Uint16Array(65_536);
      encode(values, dtype, bytesOf(back));
      for (let bits = 0; bits < 65_536; bits++) {
        if ((bits & special) === special) continue;
        assert.ok(Object.is(values[bits], meaning(bits, exponentBits, fractionBits)), `value of ${bits}`);
        assert.equal(back[bits], bits);
      }
    });

    it('keeps infinities and NaN what they are', () => {
      assert.equal(values[special], Infinity);
      assert.equal(values[special | 0x8000], -Infinity);
      assert.equal(cast(Infinity, dtype), special);
      assert.equal(cast(-Infinity, dtype), special | 0x8000);
      assert.ok(Number.isNaN(values[special | 1]!));
      const nan = cast(Number.NaN, dtype);
      assert.ok((nan & special) === special && (nan & ~special & 0x7fff) !== 0);
    });

    it('rounds to the nearest, and halfway to even', () => {
      // Between neighbours a < b: the middle goes to the even one, all else to the nearer one.
      for (let bits = 0; bits < special - 1; bits += 7) {
        const [a, b] = [values[bits]!, values[bits + 1]!];
        const middle = (a + b) / 2;
        if (Math.fround(middle) !== middle) continue; // below the smallest f32
        const even = bits & 1 ? bits + 1 : bits;
        assert.equal(cast(middle, dtype), even);
        assert.equal(cast(-middle, dtype), even | 0x8000);
        assert.equal(cast(a + (b - a) * 0.25, dtype), bits);
        assert.equal(cast(a + (b - a) * 0.75, dtype), bits + 1);
      }
    });
  });
}

describe('casts of F32 and F64', () => {
  it('copies F32 bit for bit, NaN payloads too', () => {
    const bits = Uint32Array.of(0x7fa0_1234, 0x8000_0000, 1, 0x3f80_0000);
    const values = new Float32Array(4);
    const back = new Uint32Array(4);
    decode(bytesOf(bits), 'F32', values);
    encode(values, 'F32', bytesOf(back));
    assert.deepEqual(back, bits);
  });

  it('rounds F64 to f32 and widens it exactly', () => {
    const wide = Float64Array.from({ length: 100 }, () => random(1).next() * 1e-40);
    const values = new Float32Array(100);
    decode(bytesOf(wide), 'F64' satisfies FloatDtype, values);
    assert.deepEqual(values, Float32Array.from(wide));
    const back = new Float64Array(100);
    encode(values, 'F64', bytesOf(back));
    assert.deepEqual(back, Float64Array.from(values));
  });
});
