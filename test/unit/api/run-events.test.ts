import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runEvents } from '../../../src/api/run-events.js';
import type { MergeView } from '../../../src/api/schemas/merge.js';
import { mergeRequest } from '../../../src/merge/request.js';
import { parseEvents } from '../../helpers/server.js';

const request = mergeRequest.parse({ base: 'b', tasks: [{ name: 't', checkpoint: 'c' }] });
const merge = (state: MergeView['state'], attempts = 0): MergeView => ({
  id: 'x',
  state,
  created_at: '2026-01-01T00:00:00.000Z',
  attempts,
  request,
});

async function eventsOf(views: MergeView[]): Promise<[string, number][]> {
  const left = [...views];
  let text = '';
  for await (const part of runEvents(async () => left.shift()!)) text += part;
  assert.equal(left.length, 0, 'nobody looks on after the end');
  return parseEvents(text).map(({ event, data }) => [event, data.attempts as number]);
}

test('a view is sent when it differs from the one before, and the last one under the name of its state', async () => {
  for (const end of ['succeeded', 'failed', 'cancelled'] as const) {
    const views = [merge('queued'), merge('queued'), merge('running', 1), merge('running', 2), merge(end, 2)];
    assert.deepEqual(await eventsOf(views), [
      ['progress', 0],
      ['progress', 1],
      ['progress', 2],
      [end, 2],
    ]);
  }
});

test('of a merge that has ended there is one event', async () => {
  assert.deepEqual(await eventsOf([merge('failed', 3)]), [['failed', 3]]);
});

test('events of an open merge end when the server closes', async () => {
  const closing = new AbortController();
  const events = runEvents(async () => merge('running'), closing.signal);
  assert.equal((await events.next()).done, false);
  const rest = events.next();
  closing.abort();
  assert.equal((await rest).done, true);
  assert.equal((await runEvents(async () => merge('running'), closing.signal).next()).done, true);
});
