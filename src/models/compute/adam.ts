const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-8;

/**
 * Adam in f64, with every value kept within [0, 1] after its step.
 * @see Kingma and Ba, Algorithm 1: https://arxiv.org/abs/1412.6980
 */
export function createAdam(values: Float64Array, rate: number): (gradient: Float64Array) => void {
  const mean = new Float64Array(values.length);
  const square = new Float64Array(values.length);
  let step = 0;
  return (gradient) => {
    step += 1;
    for (let i = 0; i < values.length; i++) {
      mean[i] = BETA_1 * mean[i]! + (1 - BETA_1) * gradient[i]!;
      square[i] = BETA_2 * square[i]! + (1 - BETA_2) * gradient[i]! ** 2;
      const unbiasedMean = mean[i]! / (1 - BETA_1 ** step);
      const unbiasedSquare = square[i]! / (1 - BETA_2 ** step);
      const next = values[i]! - (rate * unbiasedMean) / (Math.sqrt(unbiasedSquare) + EPSILON);
      values[i] = Math.min(1, Math.max(0, next));
    }
  };
}
