/** `npm run bench [kernels] [merge] [merge-large]`: ratios, side by side in one run on the same data. */
import { benchMerge } from './merge.js';

const wanted = process.argv.slice(2);
const run = (name: string) => wanted.length === 0 || wanted.includes(name);

/** 12 layers of width 768 are 340 MB of F32; a merge of the small one is followed by downloads. */
if (run('merge')) await benchMerge(12, true);
if (run('merge-large')) await benchMerge(48, false);
