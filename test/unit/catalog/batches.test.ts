import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBatches, MAX_REFUSALS } from '../../../src/catalog/batches.js';
import { EmrError } from '../../../src/errors.js';
import { requestOf } from '../../helpers/services.js';

/** Batches of which every merge is refused with these facts, and how many were looked at. */
function refusing(facts: object) {
  let looked = 0;
  const check = async () => {
    looked += 1;
    throw new EmrError('merge_conflict', 'It cannot be merged.', { ...facts });
  };
  const submitter = { check } as never;
  const batches = createBatches({ store: {} as never, submitter, followUp: {} as never, now: () => 0 });
  return { batches, looked: () => looked };
}
const requests = Array.from({ length: 1_000 }, () => requestOf({ base: 'b', tasks: [{ name: 't', checkpoint: 't' }] }));

test('a refused batch lists so many refusals, and plans no merge beyond them', async () => {
  const { batches, looked } = refusing({});
  await assert.rejects(batches.submit('ns', requests), ({ code, detail, facts }: EmrError) => {
    assert.equal(code, 'batch_refused');
    assert.equal(detail, `${MAX_REFUSALS} of the first ${MAX_REFUSALS} of 1000 merges cannot be run as asked.`);
    assert.equal((facts.refusals as object[]).length, MAX_REFUSALS);
    return true;
  });
  assert.equal(looked(), MAX_REFUSALS);
});

test('refusals that are long are fewer', async () => {
  const { batches, looked } = refusing({ conflicts: 'x'.repeat(2 ** 19) });
  await assert.rejects(batches.submit('ns', requests), { code: 'batch_refused' });
  assert.equal(looked(), 2);
});
