/** `node dist/experiments/train.js --suite … --seeds 2,3`: trains a part of what the experiments need, for a while. */
import { parseArgs } from 'node:util';
import { createCache } from './cache.js';
import { createImages, dataLocations } from './suites/images.js';
import type { SuiteName } from './suites/suites.js';
import { createModels } from './training/models.js';
import { specsOf } from './training/needs.js';
import type { ArchitectureName, HeadProtocol } from './training/specs.js';
import { trainAll } from './training/train-all.js';

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'digits8' },
    seeds: { type: 'string', default: '1' },
    heads: { type: 'string', default: 'random' },
    joint: { type: 'boolean', default: false },
    architecture: { type: 'string', default: 'mlp' },
    uci: { type: 'string' },
    cache: { type: 'string', default: '.cache/experiments' },
    seconds: { type: 'string', default: '150' },
    processes: { type: 'string', default: '2' },
  },
});
const locations = dataLocations(values.uci);
const models = createModels(createCache(values.cache), createImages(locations));
const specs = values.seeds.split(',').flatMap((seed) =>
  specsOf({
    suite: values.suite as SuiteName,
    seed: Number(seed),
    heads: values.heads.split(',').filter(Boolean) as HeadProtocol[],
    joint: values.joint,
    architecture: values.architecture as ArchitectureName,
  }),
);
const say = (text: string) => process.stdout.write(`${text}\n`);
const missing = await trainAll(specs, models, {
  processes: Number(values.processes),
  cacheFolder: values.cache,
  uciFile: locations.uci,
  seconds: Number(values.seconds),
  say,
});
say(`${missing} models are still to be trained`);
