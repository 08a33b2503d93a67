/** Evaluations that were asked for survive a worker that ends between a merge and its evaluations. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { TASKS } from '../../../examples/digits/tasks.js';
import { datasetFolder, digitsFolder, digitsTest } from '../../helpers/digits.js';
import { addCheckpoint, NAMESPACE, requestOf, withServices } from '../../helpers/services.js';
import { temporaryFolder } from '../../helpers/temporary.js';

const folder = temporaryFolder('emr-follow-up-');

test('the reconciler queues what is wanted of merges that have succeeded, once', async () => {
  const [{ name }] = TASKS as unknown as [(typeof TASKS)[number]];
  await withServices({ kind: 'file', root: join(folder, 'data') }, async (services) => {
    const { batches, merges, followUp, jobs, runMerge } = services;
    for (const checkpoint of ['base', name]) {
      await addCheckpoint(services, checkpoint, Object.entries(await digitsFolder(checkpoint)));
    }
    await addCheckpoint(services, 'test', Object.entries(datasetFolder(await digitsTest(TASKS[0]!, 10))));
    const request = requestOf({ base: 'base', tasks: [{ name, checkpoint: name }] });
    const { merges: ids } = await batches.submit(NAMESPACE, [request], { [name]: 'test' });
    const asked = { task: name, dataset: 'test' };
    assert.equal(await followUp.reconcile(NAMESPACE), 0, 'there is no model yet');
    assert.equal(await followUp.jobOf(NAMESPACE, ids[0]!, asked), undefined);

    // As a worker that ends at once after it: nobody follows.
    const context = { signal: new AbortController().signal, progress: () => {} };
    await runMerge({ kind: 'merge', namespace: NAMESPACE, id: ids[0]! }, context);
    assert.equal((await merges.outcome(NAMESPACE, ids[0]!)).state, 'succeeded');
    assert.equal(await followUp.reconcile(NAMESPACE), 1);
    assert.equal(await followUp.reconcile(NAMESPACE), 0);
    const job = await followUp.jobOf(NAMESPACE, ids[0]!, asked);

    // One that failed is not tried again and again, but when the batch is asked for again.
    await jobs.fail(NAMESPACE, job!, new Error('test'));
    assert.equal(await followUp.follow(NAMESPACE, ids[0]!), 0);
    assert.equal((await jobs.outcome(NAMESPACE, job!)).state, 'failed');
    await batches.submit(NAMESPACE, [request], { [name]: 'test' });
    assert.equal((await jobs.outcome(NAMESPACE, job!)).state, 'open');
  });
});
