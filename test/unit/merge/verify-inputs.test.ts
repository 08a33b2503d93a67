import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckpointRecord } from '../../../src/catalog/records.js';
import type { TaskPlan } from '../../../src/merge/plan.js';
import { FRESH_MS, filesToVerify, SMALL_FILE_BYTES, type VerifyMode } from '../../../src/merge/verify-inputs.js';

const NOW = Date.parse('2026-11-22T10:00:00Z');
const record = (name: string, sizes: readonly number[], age = FRESH_MS): CheckpointRecord => ({
  name,
  created_at: new Date(NOW - age).toISOString(),
  digest: name,
  tensors: [],
  files: sizes.map((bytes, i) => ({
    name: `${i}`,
    bytes,
    sha256: '',
    version: '',
    location: { in: 'store', key: `${name}/${i}` },
  })),
});
const large = SMALL_FILE_BYTES + 1;
const base = record('base', [large, large, 10]);
const tasks = [record('one', [large, SMALL_FILE_BYTES]), record('two', [large, large])].map(
  (task) =>
    ({
      name: task.name,
      record: task,
      statistics: task.name === 'two' ? record('fisher', [5]) : undefined,
    }) as TaskPlan,
);
const chosen = (mode: VerifyMode, seed: string) =>
  filesToVerify({ base, tasks }, { mode, seed, now: NOW }).map(({ checkpoint, file }) => `${checkpoint}/${file.name}`);

const SMALL = ['base/2', 'one/1', 'fisher/0'];
const LARGE = ['base/0', 'base/1', 'one/0', 'two/0', 'two/1'];

test('full takes every file of every input, off none', () => {
  assert.deepEqual(chosen('full', 'x').toSorted(), [...SMALL, ...LARGE].toSorted());
  assert.deepEqual(chosen('off', 'x'), []);
});

test('sampled takes all small files and one large, the same for one seed, and each for some', () => {
  const drawn = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const files = chosen('sampled', `${seed}`);
    assert.deepEqual(files, chosen('sampled', `${seed}`));
    const [one, ...more] = files.filter((file) => !SMALL.includes(file));
    assert.deepEqual([files.length, more], [SMALL.length + 1, []]);
    drawn.add(one!);
  }
  assert.deepEqual([...drawn].toSorted(), LARGE);
});

test('a checkpoint that is base and task is read once', () => {
  const twice = filesToVerify({ base, tasks: [{ ...tasks[0]!, record: base }] }, { mode: 'full', seed: 'x', now: NOW });
  assert.equal(twice.length, base.files.length);
});

test('sampled takes no large file that was hashed when it came, within the last day', () => {
  const young = record('young', [large, 7], FRESH_MS - 1);
  const sampled = (seed: string) => filesToVerify({ base: young, tasks }, { mode: 'sampled', seed, now: NOW });
  for (let seed = 0; seed < 30; seed++) {
    const files = sampled(`${seed}`).map(({ checkpoint, file }) => `${checkpoint}/${file.name}`);
    assert.ok(files.includes('young/1') && !files.includes('young/0'), `${files}`);
  }
  const alone = filesToVerify({ base: young, tasks: [] }, { mode: 'sampled', seed: 'x', now: NOW });
  assert.deepEqual(
    alone.map(({ file }) => file.name),
    ['1'],
  );
});
