import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_FACT_BYTES, writeFact } from '../../../src/catalog/facts.js';
import { createFileStore } from '../../../src/store/fs.js';
import { refused } from '../../helpers/stores.js';
import { temporaryFolder } from '../../helpers/temporary.js';

test('a fact that could not be read again is not written', async () => {
  const store = createFileStore({ root: temporaryFolder('emr-facts-') });
  await refused('too_large', () => writeFact(store, 'large.json', { text: 'x'.repeat(MAX_FACT_BYTES) }));
  assert.equal(await store.stat('large.json'), undefined);
  const fits = { text: 'x'.repeat(MAX_FACT_BYTES - '{"text":""}\n'.length) };
  assert.equal(await writeFact(store, 'fits.json', fits), true);
  assert.equal((await store.readSmall('fits.json', MAX_FACT_BYTES))?.byteLength, MAX_FACT_BYTES);
});
