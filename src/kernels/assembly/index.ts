export { narrowBf16, narrowF16, narrowF64, widenBf16, widenF16, widenF32 } from './cast';
export { emr } from './emr';
export { linear } from './linear';
export { model } from './model';
export { reconstruct } from './reconstruct';
