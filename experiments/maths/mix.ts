/** A square matrix, row by row. */
export type Matrix = readonly (readonly number[])[];

const build = (size: number, at: (row: number, column: number) => number): number[][] =>
  Array.from({ length: size }, (_, row) => Array.from({ length: size }, (_, column) => at(row, column)));

const multiply = (a: Matrix, b: Matrix): number[][] =>
  build(a.length, (row, column) => a[row]!.reduce((sum, value, inner) => sum + value * b[inner]![column]!, 0));

/**
 * A^(−1/2) of a symmetric positive definite matrix, by the coupled iteration of Newton and Schulz.
 * @throws Error when it does not converge: the vectors behind the Gram matrix depend on one another
 */
export function inverseSquareRoot(a: Matrix): number[][] {
  const size = a.length;
  // Eigenvalues in (0, 1], which the iteration needs.
  const norm = Math.max(...a.map((row) => row.reduce((sum, value) => sum + Math.abs(value), 0)));
  let root = build(size, (row, column) => a[row]![column]! / norm);
  let inverse = build(size, (row, column) => Number(row === column));
  for (let step = 0; step < 100; step += 1) {
    const product = multiply(inverse, root);
    const rest = Math.max(...product.flatMap((row, i) => row.map((value, j) => Math.abs(value - Number(i === j)))));
    if (rest < 1e-12) break;
    if (step === 99) throw new Error('The Gram matrix is too close to singular');
    const change = build(size, (row, column) => (3 * Number(row === column) - product[row]![column]!) / 2);
    root = multiply(root, change);
    inverse = multiply(change, inverse);
  }
  return build(size, (row, column) => inverse[row]![column]! / Math.sqrt(norm));
}

/** Cosines between the vectors. */
export function cosines(vectors: readonly Float32Array[]): number[][] {
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, index) => sum + value * b[index]!, 0);
  const norms = vectors.map((vector) => Math.sqrt(dot(vector, vector)));
  return build(vectors.length, (i, j) => (i === j ? 1 : dot(vectors[i]!, vectors[j]!) / (norms[i]! * norms[j]!)));
}

/** The mean over all pairs. */
export function meanCosine(matrix: Matrix): number {
  const others = matrix.flatMap((row, i) => row.filter((_, j) => i !== j));
  return others.reduce((sum, value) => sum + value, 0) / others.length;
}

/**
 * Vectors that all have the same cosine with one another and the norms of the given ones, each as near to its own as
 * that allows: they are orthogonalised evenly (Löwdin, T·(TᵀT)^(−1/2) of unit vectors), then the same share of the
 * common direction is put into each.
 * @param cosine from −1/(N − 1), the least that N vectors can have, to 1, where all point the same way
 */
export function withCosine(vectors: readonly Float32Array[], cosine: number): Float32Array[] {
  const size = vectors.length;
  const own = Math.sqrt(Math.max(0, 1 - cosine));
  const common = -own / Math.sqrt(size) + Math.sqrt(Math.max(0, (1 - cosine) / size + cosine));
  const orthogonal = inverseSquareRoot(cosines(vectors));
  // e_t = Σ_s t̂_s·O[s][t]; the result is own·e_t + common·Σ_s e_s/√N.
  const mix = multiply(
    orthogonal,
    build(size, (i, j) => own * Number(i === j) + common / Math.sqrt(size)),
  );
  const norms = vectors.map((vector) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)));
  return vectors.map((_, t) => {
    const result = new Float64Array(vectors[0]!.length);
    for (const [s, vector] of vectors.entries()) {
      const factor = (mix[s]![t]! * norms[t]!) / norms[s]!;
      for (let index = 0; index < result.length; index += 1) result[index]! += factor * vector[index]!;
    }
    return Float32Array.from(result);
  });
}
