import { ADAMERGING, FISHER_SAMPLES, SAMPLES } from './methods/statistics.js';
import type { Part } from './parts/types.js';
import type { StoredResults } from './stored-results.js';

const INTRODUCTION = `# Experiments

Written by \`npm run experiments\` from its results, never by hand. The network, its base and the eight tasks are those of
[examples/digits](../examples/digits/README.md), the methods those of [methods.md](methods.md). All merges are made by the
service through its public API, in one process; every accuracy is that of a model downloaded from it, on test images.

**How the rows are made**

- A method with settings to pick gets the one with the best mean accuracy on validation images: 1,000 images of each
  source that nothing was trained on. The UCI digits of the eight tasks have none left and take no part in picking. Test
  images decide nothing. EMR has nothing to pick: its rescalers and scopes are listed side by side.
- Joint training: one body and a head for each task, from the same base, on all tasks at once; it sees each image as often
  as the fine-tunes do.
- Fisher merging: the diagonal's expectation over the model's own classes, on ${FISHER_SAMPLES} training images of each task.
- RegMean: Gram matrices of up to ${SAMPLES} training images of each task. a = 1 cannot be solved
  here: every image is less its mean, so the inputs of the first layer depend on one another.
- AdaMerging: ${ADAMERGING.steps} steps at a rate of ${ADAMERGING.learning_rate}, ${ADAMERGING.batch_size} images of each task, from up to ${SAMPLES} unlabelled validation images
  (UCI digits of the eight tasks: training images).
- DARE: seed 0. With RegMean a is 0.9.
- Figures are means, with the standard deviation over seeds after ±. A seed is another base, other fine-tunes, another
  order of images; tasks and images stay.

**What to know about these figures**

- The networks are small and the images 14 × 14: differences between methods can be seen here, not how large they are for
  models of another size.
- Most tasks are transforms of two data sets.
- Averaging and its relatives are far behind where heads were trained together with bodies. The table with probed heads
  shows how much of that gap is the heads'.
- EMR keeps a mask and a rescaler for each task, and so must be told the task; the one-model methods share one body and
  are told the task for its head only.
- \`l2\` is nearer to the fine-tunes in weights, which does not make it more accurate.
- One accuracy on 2,000 images has a standard error of 0.4 to 1.1 points, one on 500 of 1 to 2.`;

/** The document, of the results of these parts: of the seeds that are whole, if any is. */
export async function document(parts: readonly Part[], stored: StoredResults): Promise<string> {
  const sections = [INTRODUCTION];
  const missing: string[] = [];
  for (const part of parts) {
    const all = await stored.readAll(part);
    const whole = all.filter(({ complete }) => complete);
    const results = whole.length > 0 ? whole : all;
    if (results.length > 0) sections.push(part.render(results.map(({ result }) => result)));
    else missing.push(part.name);
  }
  if (missing.length > 0) sections.push(`Not run yet: ${missing.join(', ')}.`);
  return `${sections.join('\n\n')}\n`;
}
