import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TASK_SUMS, UNIFIED_SUMS } from '../../../src/kernels/types.js';
import type { MergePlan } from '../../../src/merge/plan.js';
import { buildReport } from '../../../src/merge/report.js';
import { reportSize, requireReport } from '../../../src/merge/report-size.js';
import { randomNumbers } from '../../helpers/random-checkpoint.js';
import { refused } from '../../helpers/stores.js';

const TENSORS = 300;
const TASKS = 3;

/** What a report reads of a plan. */
function planOf(isModulated: boolean): MergePlan {
  const merged = Array.from({ length: TENSORS }, (_, k) => ({ name: `layer "${k}"`, n: Number.MAX_SAFE_INTEGER }));
  const tasks = Array.from({ length: TASKS }, (_, t) => ({
    name: `task-${t}`,
    record: { name: 'tuned', files: [] },
    extrasLayout: { bytes: 0 },
    layout: { files: [] },
  }));
  const mask = isModulated ? { bytes: 0 } : undefined;
  const request = { method: { type: 'emr' } };
  return { request, base: { name: 'base' }, warnings: [], output: { bytes: 0 }, mask, merged, tasks } as never;
}

for (const isModulated of [true, false]) {
  test(`a report ${isModulated ? 'of each step' : 'of one model'} is no longer than was reckoned, nor much shorter`, () => {
    const next = randomNumbers(5);
    const sums = planOf(isModulated).merged.map(() =>
      Float64Array.from({ length: TASKS * TASK_SUMS.length + UNIFIED_SUMS.length }, () => next() * 1e-150),
    );
    const plan = planOf(isModulated);
    const { tasks } = buildReport(plan, sums);
    const written = Object.values(tasks).reduce((sum, { tensors }) => sum + JSON.stringify(tensors).length, 0);
    assert.ok(written <= reportSize(plan), `${written} of ${reportSize(plan)}`);
    assert.ok(written > reportSize(plan) / 2, `${written} of ${reportSize(plan)}`);
  });
}

test('a merge whose report would be longer than a string can be is refused before it begins', async () => {
  const plan = planOf(true);
  requireReport(plan, reportSize(plan));
  const { facts } = await refused('too_large', async () => requireReport(plan, reportSize(plan) - 1));
  assert.deepEqual([facts.tensors, facts.tasks], [TENSORS, TASKS]);
});
