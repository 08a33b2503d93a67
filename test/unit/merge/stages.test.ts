import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryBytes } from '../../../src/merge/memory.js';
import { type MergePlan, planMerge } from '../../../src/merge/plan.js';
import { inputBytes, rankOf, surveyStages } from '../../../src/merge/stages.js';
import { recordOf, type TensorShape } from '../../helpers/records.js';
import { requestOf } from '../../helpers/services.js';

const WEIGHT = 600 * 400;
const BIAS = 600;
const MODEL: Record<string, TensorShape> = { w: ['F32', [600, 400]], b: ['BF16', [600]] };
const FISHER: Record<string, TensorShape> = { w: ['F32', [600, 400]], b: ['F32', [600]] };
const GRAM: Record<string, TensorShape> = { w: ['F64', [400, 400]] };
const STORE = { readBytes: 2 ** 20 };

/** Of a base and two tasks. */
const MODEL_BYTES = WEIGHT * 4 + BIAS * 2;
const WEIGHTS_BYTES = 3 * MODEL_BYTES;

function planOf(method: object, statistics?: Record<string, TensorShape>): MergePlan {
  const names = ['t1', 't2'];
  return planMerge({
    request: requestOf({ base: 'base', tasks: names.map((name) => ({ name, checkpoint: name })), method }),
    base: recordOf('base', MODEL),
    tasks: names.map((name) => ({
      name,
      record: recordOf(name, MODEL),
      statistics: statistics && recordOf(`${name}-s`, statistics),
    })),
  });
}
const named = { t1: 't1-s', t2: 't2-s' };
const memory = (plan: MergePlan) => memoryBytes(plan, STORE, 2);

test('a plan says which passes there are, and what they read', () => {
  const cases: [object, string[], number][] = [
    [{ type: 'emr' }, [], 1],
    [{ type: 'average' }, [], 1],
    [{ type: 'ties' }, ['upper', 'lower', 'balance'], 4],
    [{ type: 'ties', density: 1 }, ['balance'], 2],
    [{ type: 'ties', dialect: 'mergekit' }, ['select'], 3],
    [{ type: 'ties', dialect: 'peft', density: 1 }, [], 1],
    [{ type: 'ties', dialect: 'peft', density: 0 }, [], 1],
    [{ type: 'dare' }, [], 1],
    [{ type: 'dare', rescale: 'l1', inner: { type: 'ties', dialect: 'peft' } }, ['norms', 'select'], 4],
    [{ type: 'adamerging', coefficients: { t1: 1, t2: 1 } }, [], 1],
    [{ type: 'adamerging', coefficients: { t1: 1, t2: 1 }, trimmed: {} }, ['upper', 'lower', 'balance'], 4],
  ];
  for (const [method, stages, passes] of cases) {
    const plan = planOf(method);
    assert.deepEqual(plan.conflicts, []);
    assert.deepEqual(surveyStages(plan), stages, JSON.stringify(method));
    assert.equal(inputBytes(plan), passes * WEIGHTS_BYTES, JSON.stringify(method));
  }
});

test('statistics are counted where they are read', () => {
  const diagonals = 2 * (WEIGHT + BIAS) * 4;
  const plain = planOf({ type: 'fisher', statistics: named, normalise: false }, FISHER);
  assert.deepEqual(plain.conflicts, []);
  assert.equal(inputBytes(plain), WEIGHTS_BYTES + diagonals);
  assert.equal(inputBytes(planOf({ type: 'fisher', statistics: named }, FISHER)), WEIGHTS_BYTES + 2 * diagonals);

  const grams = 2 * 400 * 400 * 8;
  const solved = planOf({ type: 'regmean', statistics: named }, GRAM);
  assert.equal(inputBytes(solved), WEIGHTS_BYTES + grams + 2 * WEIGHT * 4);
  assert.deepEqual(solved.warnings, ['Averaged, since they have no Gram matrices: b.']);
  const dropped = planOf({ type: 'dare', inner: { type: 'regmean', statistics: named } }, GRAM);
  assert.equal(inputBytes(dropped), WEIGHTS_BYTES + grams + 3 * WEIGHT * 4);
});

test('memory counts histograms, statistics and the largest system', () => {
  const linear = memory(planOf({ type: 'average' }));
  // Counts of 16 upper and 15 lower bits for two tasks, in four lanes and once shared.
  const histogram = 2 * (2 ** 16 + 2 ** 15) * 8;
  assert.equal(memory(planOf({ type: 'ties' })), linear + 5 * histogram);
  assert.equal(memory(planOf({ type: 'ties', dialect: 'peft' })), linear + 4 * histogram);
  const diagonals = memory(planOf({ type: 'fisher', statistics: named }, FISHER));
  // In each of four lanes two more inputs of an item.
  assert.equal(diagonals, linear + 4 * 2 * 2 ** 20);
  // One lane for each of two threads; the system and the weights in f64, some of them more than once.
  const solved = memory(planOf({ type: 'regmean', statistics: named }, GRAM));
  assert.ok(solved >= linear / 2 + 2 * 8 * (2 * 400 * 400 + 2 * WEIGHT));
});

test('ranks: the authors keep one more than the others, and 1 keeps all', () => {
  const rank = (keeps: 'official' | 'top', density: number, n: number) => rankOf({ scope: 'model', keeps, density }, n);
  assert.deepEqual([rank('official', 0.2, 10), rank('top', 0.2, 10)], [8, 9]);
  assert.deepEqual([rank('official', 0.2, 4), rank('top', 0.2, 4)], [4, 5]);
  assert.deepEqual([rank('official', 1, 10), rank('top', 1, 10)], [0, 0]);
});
