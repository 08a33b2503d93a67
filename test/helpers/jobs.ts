import assert from 'node:assert/strict';
import type { JobView } from '../../src/api/schemas/job.js';
import { type Json, parseEvents, type TestServer } from './server.js';

/** A job as the API shows it, with a result of any type. */
export type AnyJob = Omit<JobView, 'result'> & { readonly result?: Json };

/** Asks for a job and follows its events to the end, which must be this one. */
export async function runJob(
  server: TestServer,
  request: Json,
  state: JobView['state'] = 'succeeded',
): Promise<AnyJob> {
  const response = await server.call('POST', '/v1/jobs', { json: request });
  const text = await response.text();
  assert.ok(response.ok, text);
  const { id } = JSON.parse(text) as AnyJob;
  const events = await (await server.call('GET', `/v1/jobs/${id}/events`)).text();
  const ended = parseEvents(events).at(-1)!.data as unknown as AnyJob;
  assert.equal(ended.state, state, JSON.stringify(ended.error));
  return ended;
}
