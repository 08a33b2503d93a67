/** Pages of runs: whole and in order whatever the number of runs, and only as much held as a page needs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listNewest } from '../../../src/api/run-list.js';

interface Run {
  readonly id: string;
  readonly created_at: string;
}

/** In the order of their ids, as a store lists them, which is none of times. Many share a moment. */
const runs: readonly Run[] = Array.from({ length: 1000 }, (_, n) => ({
  id: String(n).padStart(4, '0'),
  created_at: new Date(Date.UTC(2026, 0, 1) + ((n * 7919) % 251) * 1000).toISOString(),
}));
const newestFirst = runs
  .map(({ id, created_at }) => `${created_at}_${id}`)
  .sort()
  .reverse();

async function* all(): AsyncGenerator<Run> {
  yield* runs;
}

const view = async ({ id, created_at }: Run) => `${created_at}_${id}`;

for (const limit of [1, 7, 100, 999, 1000, 2000]) {
  test(`pages of ${limit} follow one another and end`, async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listNewest(all(), view, { limit, cursor });
      assert.equal(page.items.length, Math.min(limit, runs.length - seen.length));
      seen.push(...page.items);
      cursor = page.next_cursor;
      // Pages of one take a thousand rounds; a hundred show it.
    } while (cursor !== undefined && seen.length < limit * 100);
    assert.deepEqual(seen, newestFirst.slice(0, seen.length));
  });
}

test('no runs are an empty page without a next', async () => {
  async function* none(): AsyncGenerator<Run> {}
  assert.deepEqual(await listNewest(none(), view, { limit: 10 }), { items: [] });
});
