export { shrinkF64 } from './shrink-f64';
