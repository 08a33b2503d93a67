import type { Part } from './parts/types.js';
import type { StoredResults } from './stored-results.js';

const INTRODUCTION = `# Experiments

Written by \`npm run experiments\` from its results, never by hand. What is merged, and how it is trained:
[examples/digits](../examples/digits/README.md). What the methods are: [methods.md](methods.md).

All merges are made by the service through its public API, in one process (embedded mode); every accuracy is that of a
model downloaded from it. Figures are means, with the standard deviation over seeds after ±. Where a method has settings
to pick, the setting with the best mean accuracy on validation images is taken (1,000 images that nothing was trained
on; the UCI digits of the eight tasks have none left and take no part in picking); test images decide nothing. EMR has
nothing to pick: its rescalers and scopes are listed side by side.

**What to know about these figures**

- The networks are small and the images 14 × 14: differences between methods can be seen here, not how large they are for
  models of another size.
- Most tasks are transforms of two data sets.
- Averaging and its relatives are far behind where heads were trained together with bodies. The tables with probed heads
  show how much of that gap is the heads'.
- EMR keeps a mask and a rescaler for each task, and is told the task; the one-model methods share one body and are told
  the task for its head only.
- \`l2\` is nearer to the fine-tunes in weights, which does not make it more accurate.
- One accuracy on 2,000 images has a standard error of 0.4 to 1.1 points, one on 500 of 1 to 2.`;

/** The document, of the results of these parts and of all their seeds that there are. */
export async function document(parts: readonly Part[], stored: StoredResults): Promise<string> {
  const sections = [INTRODUCTION];
  const missing: string[] = [];
  for (const part of parts) {
    const results = await stored.readAll(part);
    if (results.length > 0) sections.push(part.render(results.map(({ result }) => result)));
    else missing.push(part.name);
  }
  if (missing.length > 0) sections.push(`Not run yet: ${missing.join(', ')}.`);
  return `${sections.join('\n\n')}\n`;
}
