/**
 * `npm run experiments [-- --only digits8,masks] [--seeds 3] [--quick]`: trains what is missing, measures what is
 * missing, and writes docs/experiments.md from all results. What is in the cache is not done again.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createCache } from './cache.js';
import { type Context, TimeIsUp } from './context.js';
import { document } from './document.js';
import { createEvaluator, type Evaluator } from './evaluate.js';
import { PARTS, QUICK } from './parts/parts.js';
import type { Part } from './parts/types.js';
import { createSession } from './service/session.js';
import { createStoredResults } from './stored-results.js';
import { checkData, createImages, dataLocations } from './suites/images.js';
import { createModels } from './training/models.js';
import type { ArchitectureName } from './training/specs.js';
import { trainAll } from './training/train-all.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '3' },
    /** A few methods on the committed checkpoints, within seconds; the document is printed. */
    quick: { type: 'boolean', default: false },
    uci: { type: 'string' },
    cache: { type: 'string', default: '.cache/experiments' },
    out: { type: 'string', default: 'docs/experiments.md' },
    /** Side by side, for training. */
    processes: { type: 'string', default: '2' },
    /** Ends in good order after this time; the same command goes on from there. */
    seconds: { type: 'string', default: 'Infinity' },
  },
});

const started = performance.now();
const elapsed = () => (performance.now() - started) / 1000;
const say = (text: string) => process.stdout.write(`${elapsed().toFixed(0).padStart(5)} s  ${text}\n`);
const all = values.quick ? QUICK : PARTS;
const only = values.only?.split(',');
const unknown = only?.filter((name) => !all.some((part) => part.name === name)) ?? [];
if (unknown.length > 0) throw new Error(`No part ${unknown}; there are ${all.map(({ name }) => name).join(', ')}`);
const parts = all.filter(({ name }) => only?.includes(name) ?? true);
const seeds = Array.from({ length: values.quick ? 1 : Number(values.seeds) }, (_, index) => index + 1);
const seconds = Number(values.seconds);

const locations = dataLocations(values.uci);
const cache = createCache(values.cache);
const stored = createStoredResults(values.cache);
const images = createImages(locations);
const models = createModels(cache, images);
const session = createSession();
const evaluators = new Map<ArchitectureName, Evaluator>();
const context: Context = {
  cache,
  images,
  models,
  session,
  evaluator(architecture) {
    const found = evaluators.get(architecture) ?? createEvaluator(images, architecture);
    evaluators.set(architecture, found);
    return found;
  },
  pause() {
    if (elapsed() > seconds) throw new TimeIsUp('The time that was given is over; the same command goes on from here');
  },
  say,
};

/** Trains and measures one part for one seed, unless its result is there and whole. */
async function runPart(part: Part, seed: number): Promise<void> {
  const begun = performance.now();
  const found = await stored.read(part, seed);
  if (found?.complete) return;
  const missing = await trainAll(part.models(seed), models, {
    processes: Number(values.processes),
    cacheFolder: values.cache,
    uciFile: locations.uci,
    seconds: seconds - elapsed(),
    say,
  });
  if (missing > 0) throw new TimeIsUp(`${missing} models are still to be trained; the same command goes on from here`);
  say(`${part.name}, seed ${seed}`);
  const result = await part.run(context, seed);
  await stored.write(part, seed, result);
  say(`${part.name}, seed ${seed}: done in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}

try {
  if (!values.quick) await checkData(locations);
  for (const seed of seeds) {
    for (const part of parts) await runPart(part, seed);
  }
} catch (error) {
  if (!(error instanceof TimeIsUp)) throw error;
  say(error.message);
} finally {
  await session.close();
}
const text = await document(all, stored);
if (values.quick) process.stdout.write(`\n${text}`);
else await writeFile(values.out, text);
say(values.quick ? 'done' : `wrote ${values.out}`);
