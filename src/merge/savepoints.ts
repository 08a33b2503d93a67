/**
 * How far an attempt has come, written down every some seconds, so that the next one goes on from there. What it takes
 * over it copies and hashes: nothing that another attempt may still be writing is ever shared.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { savedBelow } from '../catalog/keys.js';
import type { Store } from '../store/types.js';
import type { ArtifactWriter } from './artifact-writer.js';

/** Raise it with every change of a merge's bytes: a savepoint of other code is not taken up. */
const VERSION = 1;

const COPY_BYTES = 2 ** 20;

/** Of a record, most of it sums, written every some seconds: beyond it nothing is noted. Some 10,000 tensors of 30 tasks. */
const MAX_RECORD_BYTES = 32 * 2 ** 20;

const savepointSchema = z.object({
  version: z.literal(VERSION),
  /** Elements of an item, which decide what the numbers of items mean. */
  item_elements: z.number().int().positive(),
  /** Which of the output's tensors is being written, and the next item; those before are done. */
  tensor: z.number().int().nonnegative(),
  item: z.number().int().nonnegative(),
  /** The sums of every merged tensor so far: f64, little-endian, Base64. */
  sums: z.base64(),
  /** What is written of each output: so many bytes, with this SHA-256. */
  outputs: z.array(z.object({ path: z.string(), bytes: z.number().int().nonnegative(), sha256: z.string() })),
});
type SavepointRecord = z.output<typeof savepointSchema>;

export interface Savepoint extends SavepointRecord {
  /** Of the attempt that wrote it. */
  readonly prefix: string;
}

/** Where the merge stands: the part of a savepoint that is not the outputs'. */
export type Position = Pick<SavepointRecord, 'item_elements' | 'tensor' | 'item'> & { sums: readonly Float64Array[] };

/** A savepoint that cannot be taken up after all; the merge begins anew. */
export class SavepointLost extends Error {
  override readonly name = 'SavepointLost';
}

const recordKey = (attempt: string, number: number) => `${savedBelow(attempt)}${String(number).padStart(8, '0')}.json`;
const outputKey = (attempt: string, path: string) => `${savedBelow(attempt)}artifacts/${path}`;
const RECORD = /^(.*\/)saved\/\d+\.json$/;

/** The savepoint that has come furthest among those of attempts below `attempts`. */
export async function findSavepoint(store: Store, attempts: string): Promise<Savepoint | undefined> {
  let furthest: Savepoint | undefined;
  for await (const { objects } of store.list(attempts)) {
    for (const { key } of objects) {
      const prefix = RECORD.exec(key)?.[1];
      if (prefix === undefined) continue;
      const found = await readRecord(store, key);
      if (found && (furthest === undefined || found.item > furthest.item)) furthest = { ...found, prefix };
    }
  }
  return furthest;
}

/** What lies in the store: a savepoint as text, and the SHA-256 of that, since nothing else would show that sums are damaged. */
const sealed = z.object({ sha256: z.string(), savepoint: z.string() });
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');

function seal(record: SavepointRecord): Buffer {
  const savepoint = JSON.stringify(record);
  return Buffer.from(`${JSON.stringify({ sha256: digestOf(savepoint), savepoint })}\n`);
}

/** Of another version, damaged, unreadable or gone meanwhile: as if it were not there. */
async function readRecord(store: Store, key: string): Promise<SavepointRecord | undefined> {
  try {
    const bytes = await store.readSmall(key, MAX_RECORD_BYTES);
    if (bytes === undefined) return undefined;
    const { sha256, savepoint } = sealed.parse(JSON.parse(bytes.toString()));
    return sha256 === digestOf(savepoint) ? savepointSchema.parse(JSON.parse(savepoint)) : undefined;
  } catch {
    return undefined;
  }
}

/** The sums of a savepoint, for `tensors` merged tensors of `length` numbers each. */
export function sumsOf({ sums }: Savepoint, tensors: number, length: number): Float64Array[] {
  const bytes = Buffer.from(sums, 'base64');
  if (bytes.byteLength !== tensors * length * 8) throw new SavepointLost('other sums');
  const all = new Float64Array(new Uint8Array(bytes).buffer);
  return Array.from({ length: tensors }, (_, k) => all.slice(k * length, (k + 1) * length));
}

/** Begins an output with what a savepoint has of it, which must begin with `header` and have the hash that was noted. */
export async function takeOver(
  store: Store,
  { prefix, outputs }: Savepoint,
  writer: ArtifactWriter,
  header: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const noted = outputs.find(({ path }) => path === writer.path);
  if (noted === undefined || noted.bytes < header.byteLength) throw new SavepointLost(`no ${writer.path}`);
  const source = await lost(() => store.openReader(outputKey(prefix, noted.path)));
  try {
    const chunk = Buffer.allocUnsafe(Math.max(COPY_BYTES, header.byteLength));
    for (let at = 0; at < noted.bytes; at += chunk.byteLength) {
      signal.throwIfAborted();
      const part = chunk.subarray(0, Math.min(chunk.byteLength, noted.bytes - at));
      await lost(() => source.read(part, at));
      if (at === 0 && !part.subarray(0, header.byteLength).equals(header)) throw new SavepointLost('another header');
      await writer.write(part);
    }
  } finally {
    await source.close();
  }
  if ((await writer.mark()).sha256 !== noted.sha256) throw new SavepointLost(`${noted.path} is not what was noted`);
}

async function lost<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new SavepointLost('its files are gone, unreadable, or still being written', { cause });
  }
}

export interface Saver {
  /** After an item; notes the position if it is time to. Waits for the cut, not for the disk. */
  offer(position: Position): Promise<void>;
  /** Nothing is being written any more. */
  settled(): Promise<void>;
  /** Removes all that was noted, since the artifacts are whole. */
  remove(): Promise<void>;
}

/** Notes every `everyMs` how far the outputs of an attempt are. That it fails costs the next attempt time, nothing else. */
export function createSaver(store: Store, attempt: string, outputs: readonly ArtifactWriter[], everyMs: number): Saver {
  let last = performance.now();
  let count = 0;
  let begun = false;
  let running: Promise<void> | undefined;

  const write = async (record: SavepointRecord): Promise<void> => {
    const text = seal(record);
    if (text.byteLength > MAX_RECORD_BYTES) return;
    await Promise.all(outputs.map((output) => output.save!(outputKey(attempt, output.path))));
    const number = ++count;
    await store.create(recordKey(attempt, number), text);
    if (number > 1) await store.delete(recordKey(attempt, number - 1));
  };

  return {
    async offer(position) {
      if (running || performance.now() - last < everyMs || outputs.some(({ save }) => save === undefined)) return;
      last = performance.now();
      begun = true;
      const marks = await Promise.all(outputs.map((output) => output.mark()));
      const { sums, ...rest } = position;
      const bytes = sums.map((one) => new Uint8Array(one.buffer, one.byteOffset, one.byteLength));
      const record = {
        version: VERSION,
        ...rest,
        sums: Buffer.concat(bytes).toString('base64'),
        outputs: marks,
      } as const;
      running = write(record)
        .catch(() => {})
        .finally(() => {
          running = undefined;
        });
    },
    async settled() {
      await running;
    },
    async remove() {
      await running;
      if (begun) await store.deletePrefix(savedBelow(attempt));
    },
  };
}
