/**
 * Rounds every row to 2^(bits−1) − 1 equal steps either side of 0, the largest magnitude of the row being the last:
 * symmetric quantisation with one f32 scale for each row. Ties round away from 0.
 * @returns the rounded values as f32
 */
export function quantiseRows(values: Float32Array, rowLength: number, bits: number): Float32Array {
  const steps = 2 ** (bits - 1) - 1;
  const result = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += rowLength) {
    const row = values.subarray(start, start + rowLength);
    const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (largest === 0) continue;
    const scale = Math.fround(largest / steps);
    for (const [index, value] of row.entries()) {
      result[start + index] = Math.sign(value) * Math.min(steps, Math.floor(Math.abs(value) / scale + 0.5)) * scale;
    }
  }
  return result;
}

/** Bytes of what {@link quantiseRows} keeps: the steps, packed, and a scale for each row. */
export const quantisedBytes = (elements: number, rows: number, bits: number) =>
  Math.ceil((elements * bits) / 8) + 4 * rows;
