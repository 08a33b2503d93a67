import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keys } from '../../../src/catalog/keys.js';

test("every folder that a key lies in is the service's own, so that nothing is registered from there", () => {
  let checked = 0;
  for (const [name, make] of Object.entries(keys)) {
    const key = (make as (...parts: string[]) => string | boolean)('ns', 'a', 'b', 'c');
    if (typeof key !== 'string') continue;
    assert.ok(key.startsWith('ns/'), name);
    assert.ok(keys.isOwn(key.slice('ns/'.length).replace(/\/$/, '')), `${name}: ${key}`);
    checked++;
  }
  assert.ok(checked > 10);
  for (const folder of ['inbox', 'checkpoints-old', 'my/merges', 'Jobs'])
    assert.equal(keys.isOwn(folder), false, folder);
});
