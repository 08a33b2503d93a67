/**
 * Factors the symmetric d × d matrix in place into L·Lᵀ (row-major, f64; only the lower triangle is read and written).
 * Returns the first column whose pivot is not above `tolerance` times its diagonal, or undefined: there the matrix is
 * singular as far as can be told. `tolerance` is what the entries' rounding allows for.
 */
export function cholesky(matrix: Float64Array, d: number, tolerance: number): number | undefined {
  for (let j = 0; j < d; j++) {
    const rowJ = matrix.subarray(j * d, j * d + j + 1);
    const diagonal = rowJ[j]!;
    let pivot = diagonal;
    for (let k = 0; k < j; k++) pivot -= rowJ[k]! * rowJ[k]!;
    // Also where the diagonal is 0, or anything is NaN.
    if (!(pivot > diagonal * tolerance)) return j;
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

/**
 * The row of which least is left, as a part of its diagonal, once all others are eliminated: 1 / (a_ii·(A⁻¹)_ii) of
 * A = L·Lᵀ. The pivots say it of those before them alone, so they miss a dependence whose last row has a small part in
 * it. Takes as long as the factorisation.
 */
export function leastIndependent(factor: Float64Array, d: number): { row: number; left: number } {
  const column = new Float64Array(d);
  let least = { row: 0, left: Number.POSITIVE_INFINITY };
  for (let i = 0; i < d; i++) {
    let diagonal = 0;
    for (let k = 0; k <= i; k++) diagonal += factor[i * d + k]! ** 2;
    // Column i of L⁻¹, whose squared length is (A⁻¹)_ii.
    let inverse = 0;
    for (let k = i; k < d; k++) {
      const row = factor.subarray(k * d, k * d + k + 1);
      let sum = k === i ? 1 : 0;
      for (let m = i; m < k; m++) sum -= row[m]! * column[m]!;
      column[k] = sum / row[k]!;
      inverse += column[k]! ** 2;
    }
    const left = 1 / (diagonal * inverse);
    if (left < least.left) least = { row: i, left };
  }
  return least;
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
