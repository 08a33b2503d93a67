/** Keeps so many merges accepted that as many can run at once: as one ends, the next is asked for. */
import { setTimeout as pause } from 'node:timers/promises';
import { createClient, newTally, type Tally } from './client.js';

interface Merge {
  readonly id: string;
  readonly state: string;
}

export interface Merging {
  /** A merge that has succeeded. */
  readonly first: string;
  /** Those that have not ended, and the first. */
  current(): readonly string[];
  stop(): Promise<{ tally: Tally; ended: number; running: number }>;
}

const POLL_MS = 500;
/** After its end: nobody asks for its status any more by then. */
const DELETE_MS = 3_000;

export async function keepMerging(url: string, folder: string, tasks: number, atOnce: number): Promise<Merging> {
  const tally = newTally();
  const client = createClient(url, tally);
  const send = async <T>(path: string, json: unknown) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await client.call(path, { method: 'POST', headers, body: Buffer.from(JSON.stringify(json)) });
    if (answer.status >= 400 || answer.status === 0) throw new Error(`${path}: ${JSON.stringify(answer.json)}`);
    return answer.json as T;
  };
  const names = Array.from({ length: tasks }, (_, t) => `task-${t + 1}`);
  for (const name of ['base', ...names]) {
    await send('/v1/checkpoints', { name, source: { uri: `file://${folder}/${name}` } });
  }
  let asked = 0;
  /** A pattern that matches nothing makes each another merge of the same work. */
  const ask = () =>
    send<Merge>('/v1/merges', {
      base: 'base',
      tasks: names.map((name) => ({ name, checkpoint: name })),
      exclude: [`nothing-${asked++}`],
    });
  const look = async (id: string) => (await client.call(`/v1/merges/${id}`)).json as Merge;

  const { id: first } = await ask();
  while ((await look(first)).state !== 'succeeded') await pause(50);

  const open = new Set<string>();
  const old: { id: string; at: number }[] = [];
  let ended = 0;
  let stopped = false;
  const keep = async () => {
    while (!stopped) {
      for (const id of open) {
        const { state } = await look(id);
        if (state === 'queued' || state === 'running') continue;
        if (state !== 'succeeded') tally.errors.push(`merge ${id} has ${state}`);
        open.delete(id);
        ended += 1;
        old.push({ id, at: performance.now() });
      }
      while (open.size < atOnce) open.add((await ask()).id);
      while (performance.now() - (old[0]?.at ?? Number.POSITIVE_INFINITY) > DELETE_MS) {
        await client.call(`/v1/merges/${old.shift()!.id}`, { method: 'DELETE' });
      }
      await pause(POLL_MS);
    }
  };
  const kept = keep();
  return {
    first,
    current: () => [first, ...open],
    async stop() {
      stopped = true;
      await kept;
      client.close();
      return { tally, ended, running: open.size };
    },
  };
}
