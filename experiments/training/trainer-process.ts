/** A process that trains the models whose specs it is sent, one after another, and answers each with its label. */
import { startBackend } from '../../examples/digits/backend.js';
import { createCache } from '../cache.js';
import { createImages, dataLocations } from '../suites/images.js';
import { createModels } from './models.js';
import { labelOf, type ModelSpec } from './specs.js';

const [cacheFolder, uciFile] = process.argv.slice(2);
const models = createModels(createCache(cacheFolder!), createImages(dataLocations(uciFile)));

process.on('message', async (spec: ModelSpec) => {
  await startBackend();
  await models.train(spec);
  process.send!(labelOf(spec));
});
process.on('disconnect', () => process.exit());
