import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withEvaluations } from '../../../src/api/report-download.js';

const stored = Buffer.from(`${JSON.stringify({ tasks: { t: 1 } })}\n`);
const report = {
  name: 'report.json',
  bytes: stored.byteLength,
  etag: 'tag',
  async *read(start: number, end: number) {
    assert.ok(start < end && end <= stored.byteLength);
    yield stored.subarray(start, end);
  },
};
const evaluation = { job: 'j', task: 't', dataset: 'd', accuracy: 1, loss: 0, n: 1, backend: 'cpu', at: 'now' };

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

async function read(file: ReturnType<typeof withEvaluations>, start: number, end: number): Promise<string> {
  const chunks = await collect(file.read(start, end, Promise.resolve()));
  return Buffer.concat(chunks).toString('utf8');
}

test('the report and its evaluations are one JSON text, whichever range of it is asked for', async () => {
  for (const evaluations of [[], [evaluation]]) {
    const file = withEvaluations(report, evaluations);
    const whole = await read(file, 0, file.bytes);
    assert.deepEqual(JSON.parse(whole), { tasks: { t: 1 }, evaluations });
    for (let cut = 0; cut <= file.bytes; cut++) {
      const halves = await Promise.all([read(file, 0, cut), read(file, cut, file.bytes)]);
      assert.equal(halves.join(''), whole);
    }
  }
});

test('another evaluation is another tag', () => {
  assert.notEqual(withEvaluations(report, []).etag, withEvaluations(report, [evaluation]).etag);
  assert.equal(withEvaluations(report, []).etag, withEvaluations(report, []).etag);
});
