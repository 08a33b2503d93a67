/**
 * Factors the symmetric d × d matrix in place into L·Lᵀ (row-major, f64; only the lower triangle is read and written).
 * Returns the first column without a positive pivot, beyond rounding, or undefined: there the matrix is singular.
 */
export function cholesky(matrix: Float64Array, d: number): number | undefined {
  for (let j = 0; j < d; j++) {
    const rowJ = matrix.subarray(j * d, j * d + j + 1);
    const diagonal = rowJ[j]!;
    let pivot = diagonal;
    for (let k = 0; k < j; k++) pivot -= rowJ[k]! * rowJ[k]!;
    // What is left of the diagonal is rounding once it is this small: each of j terms errs by half a last place.
    if (!(pivot > diagonal * (j + 1) * Number.EPSILON)) return j;
    const root = Math.sqrt(pivot);
    rowJ[j] = root;
    for (let i = j + 1; i < d; i++) {
      const rowI = matrix.subarray(i * d, i * d + j + 1);
      let sum = rowI[j]!;
      for (let k = 0; k < j; k++) sum -= rowI[k]! * rowJ[k]!;
      rowI[j] = sum / root;
    }
  }
  return undefined;
}

/** Solves L·Lᵀ·X = B for one right side after the other, in place: `sides` holds columns of B as rows of length d. */
export function solveCholesky(factor: Float64Array, d: number, sides: Float64Array): void {
  for (let from = 0; from < sides.length; from += d) {
    const x = sides.subarray(from, from + d);
    for (let i = 0; i < d; i++) {
      const row = factor.subarray(i * d, i * d + i + 1);
      let sum = x[i]!;
      for (let k = 0; k < i; k++) sum -= row[k]! * x[k]!;
      x[i] = sum / row[i]!;
    }
    // By columns of Lᵀ, which are rows of L: memory is read in its order.
    for (let i = d - 1; i >= 0; i--) {
      const row = factor.subarray(i * d, i * d + i + 1);
      x[i] = x[i]! / row[i]!;
      for (let k = 0; k < i; k++) x[k] = x[k]! - row[k]! * x[i]!;
    }
  }
}
