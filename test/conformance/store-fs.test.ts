import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileStore } from '../../src/store/fs.js';
import { keys } from '../helpers/stores.js';
import { storeConformance } from './store.js';

for (const smallReads of ['here', 'pool'] as const) {
  storeConformance(`file, small files read ${smallReads}`, async () => {
    const root = await mkdtemp(join(tmpdir(), 'emr-store-'));
    const store = createFileStore({ root });
    return {
      store,
      async leftovers() {
        const objects = await keys(store);
        const names = (await readdir(root, { recursive: true })).sort();
        // Every name must be an object or lead to one.
        return names.filter((name) => !objects.some((key) => key === name || key.startsWith(`${name}/`)));
      },
      async cleanup() {
        await store.close();
        await rm(root, { recursive: true, force: true });
      },
    };
  });
}
