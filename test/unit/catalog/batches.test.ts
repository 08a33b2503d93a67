import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BatchesOptions, createBatches, MAX_REFUSALS } from '../../../src/catalog/batches.js';
import { EmrError } from '../../../src/errors.js';
import type { MergeRequest } from '../../../src/merge/request.js';
import { requestOf } from '../../helpers/services.js';

/** Batches of which every merge is refused with these facts, and how many were looked at. */
function refusing(facts: object) {
  let looked = 0;
  const check = async () => {
    looked += 1;
    throw new EmrError('merge_conflict', 'It cannot be merged.', { ...facts });
  };
  const submitter = { check } as never;
  const batches = createBatches({ ...({} as BatchesOptions), submitter, now: () => 0 });
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

test('what a batch asks for anew: merges, and evaluations of known merges if the batch is new', async () => {
  const base = 'b';
  const all = ['one', 'two', 'three'].map((name) => requestOf({ name, base, tasks: [{ name: 't', checkpoint: 't' }] }));
  const countFresh = (known: string[], isBatchKnown: boolean, evaluate?: Record<string, string>) => {
    const submitter = { check: async (_namespace: string, { name }: MergeRequest) => name! };
    const merges = {
      find: async (_namespace: string, id: string) => (known.includes(id) ? { id } : undefined),
      outcome: async () => ({ state: 'open' }),
    };
    const store = { stat: async () => (isBatchKnown ? {} : undefined) };
    const batches = createBatches({ store, submitter, merges, now: () => 0 } as unknown as BatchesOptions);
    return batches.countFresh('ns', all, evaluate);
  };
  const evaluate = { t: 'x', u: 'y' };
  assert.equal(await countFresh([], false), 3);
  assert.equal(await countFresh(['one'], false), 2);
  assert.equal(await countFresh([], false, evaluate), 3);
  assert.equal(await countFresh(['one'], false, evaluate), 4);
  assert.equal(await countFresh(['one', 'two', 'three'], true, evaluate), 0);
  assert.equal(await countFresh(['one', 'two'], true, evaluate), 1);
});
