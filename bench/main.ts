/** `npm run bench [-- kernels merge merge-large]`: ratios, side by side in one run on the same data. */
import { benchKernels } from './kernels.js';
import { benchMerge } from './merge.js';

const wanted = process.argv.slice(2);
const run = (name: string) => wanted.length === 0 || wanted.includes(name);

if (run('kernels')) await benchKernels();
/** 12 layers of width 768 are 340 MB of F32; the merge is followed by downloads of what it made. */
if (run('merge')) await benchMerge(12, true);
/** Four times as large: for the memory. */
if (run('merge-large')) await benchMerge(48, false);
