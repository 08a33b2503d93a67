import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome, RunFact } from '../../../src/catalog/runs.js';
import { createLifecycle } from '../../../src/merge/lifecycle.js';
import { createLocalQueue } from '../../../src/queue/local.js';

const NAMESPACE = 'default';

test('a run that succeeded, was deleted and asked for again is queued again when its job is lost', async () => {
  let fact: RunFact = { id: 'same', created_at: '2026-01-01T00:00:00.000Z' };
  let outcome = { state: 'succeeded' } as Outcome<unknown>;
  const runs: Parameters<typeof createLifecycle>[1] = {
    eachId: async (_namespace, look) => look(fact.id),
    find: async () => fact,
    resumeRemoval: async () => {},
    outcome: async () => outcome,
    cancel: async () => true,
  };
  const queue = createLocalQueue();
  const lifecycle = createLifecycle('merge', runs, queue);
  assert.equal(await lifecycle.reconcile(NAMESPACE), 0);
  assert.equal(await lifecycle.reconcile(NAMESPACE), 0);

  fact = { ...fact, created_at: '2026-01-02T00:00:00.000Z' };
  outcome = { state: 'open', opening: 0 };
  assert.equal(await lifecycle.reconcile(NAMESPACE), 1);
  assert.ok(await queue.status({ kind: 'merge', namespace: NAMESPACE, id: 'same' }));
  assert.equal(await lifecycle.reconcile(NAMESPACE), 0, 'it has its job');
  await queue.close();
});
