import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCache } from '../../../experiments/cache.js';
import { percent, spread, table } from '../../../experiments/markdown.js';
import { ENTRIES } from '../../../experiments/methods/catalogue.js';
import { comparison } from '../../../experiments/parts/comparison.js';
import { PARTS } from '../../../experiments/parts/parts.js';
import { createStoredResults } from '../../../experiments/stored-results.js';
import { temporaryFolder } from '../../helpers/temporary.js';

const part = comparison({
  name: 'small',
  title: 'Two tasks',
  about: 'About it.',
  suite: 'digits8',
  architecture: 'mlp',
  head: 'random',
  joint: false,
  perTask: false,
});
const entry = (name: string, first: number, second: number) => ({
  name,
  uses: 'nothing' as const,
  setting: '',
  accuracies: { a: first, b: second },
});

test('figures stand to the right, with their spread over seeds', () => {
  assert.equal(spread([1, 2, 3], 1), '2.0 ± 1.0');
  assert.equal(percent([0.5]), '50.0');
  assert.equal(
    table(
      ['method', 'accuracy'],
      [
        ['A', '1.0'],
        ['Longer', '–'],
      ],
    ),
    '| method | accuracy |\n| ------ | -------: |\n| A      |      1.0 |\n| Longer |        – |',
  );
});

test('the document says where EMR loses, and what did not run', () => {
  const result = {
    individual: { a: 1, b: 0.9 },
    entries: [entry('Weight averaging', 0.9, 0.2), entry('EMR, global', 0.8, 0.8), entry('EMR, l2', 0.7, 0.95)],
  };
  const text = part.render([result]);
  assert.match(text, /^## Two tasks\n\nAbout it\.\n\n1 seed/);
  assert.match(text, /\| EMR, global +\| +80\.0 \| +84\.2 \|/);
  assert.match(text, /Individual is ahead of EMR \(global, Eq\. 13\) by 15\.0 points/);
  assert.match(text, /Ahead of EMR, in points: EMR, l2 2\.5\./);
  assert.match(text, /makes one model is Weight averaging: -25\.0 points/);
  assert.match(text, /is ahead of EMR: a \(Weight averaging\)\./);
  assert.doesNotMatch(text, /Not run yet/);
  assert.equal(part.complete!(result), true);
  const partial = { ...result, entries: [...result.entries, { name: 'RegMean', notRun: 'not offered' }] };
  assert.match(part.render([partial]), /Not run yet: RegMean\./);
  assert.equal(part.complete!(partial), false);
});

test('methods and parts have names of their own, and settings too', () => {
  assert.equal(new Set(ENTRIES.map(({ name }) => name)).size, ENTRIES.length);
  assert.equal(new Set(PARTS.map(({ name }) => name)).size, PARTS.length);
  for (const { name, candidates, uses } of ENTRIES) {
    assert.equal(new Set(candidates.map(({ setting }) => setting)).size, candidates.length, name);
    assert.ok(candidates.length === 1 || uses !== 'nothing', `${name} picks by something`);
    assert.ok(candidates.length === 1 || !name.startsWith('EMR'), 'EMR has nothing to pick');
  }
});

test('a result is computed once for a key, and its part keeps the newest whole one of each seed', async () => {
  const folder = temporaryFolder('emr-experiments-cache-');
  const cache = createCache(folder);
  let computed = 0;
  const get = (from: unknown) =>
    cache.result({ label: 'x', from }, async () => {
      computed += 1;
      return { value: computed };
    });
  assert.deepEqual(
    [await get({ a: 1 }), await get({ a: 2 }), await get({ a: 1 })],
    [{ value: 1 }, { value: 2 }, { value: 1 }],
  );
  await assert.rejects(
    cache.result({ label: 'y', from: 1 }, () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(await cache.result({ label: 'y', from: 1 }, async () => 5), 5);

  const stored = createStoredResults(folder);
  const whole = { individual: {}, entries: [] };
  await stored.write(part, 2, whole);
  await stored.write(part, 1, { ...whole, entries: [{ name: 'RegMean', notRun: 'not offered' }] });
  assert.deepEqual(
    (await stored.readAll(part)).map(({ complete }) => complete),
    [false, true],
  );
  assert.equal(await stored.read(part, 3), undefined);
  assert.deepEqual(await stored.readAll({ ...part, version: part.version + 1 }), []);
});
