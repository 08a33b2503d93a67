/**
 * How far an attempt has come, written down every some seconds, so that the next one goes on from there. What it takes
 * over it copies and hashes: nothing that another attempt may still be writing is ever shared.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { savedBelow } from '../catalog/keys.js';
import type { Front, Store } from '../store/types.js';
import type { ArtifactWriter } from './artifact-writer.js';

/** Raise it with every change of a merge's bytes: a savepoint of other code is not taken up. */
const VERSION = 2;

/** Of a record, most of it sums, written every some seconds: beyond it nothing is noted. Some 10,000 tensors of 30 tasks. */
export const MAX_RECORD_BYTES = 32 * 2 ** 20;

const size = z.number().int().nonnegative();

const savepointSchema = z.object({
  version: z.literal(VERSION),
  /** Elements of an item, which decide what the numbers of items mean. */
  item_elements: z.number().int().positive(),
  /** Which of the output's tensors is being written, and the next item; those before are done. */
  tensor: z.number().int().nonnegative(),
  item: z.number().int().nonnegative(),
  /** The sums of every merged tensor so far: f64, little-endian, Base64. */
  sums: z.base64(),
  /** What is written of each output: so many bytes, with this SHA-256; the fronts of these objects, in order, are they. */
  outputs: z.array(
    z.object({
      path: z.string(),
      bytes: size,
      sha256: z.string(),
      fronts: z.array(z.object({ key: z.string(), bytes: size })),
    }),
  ),
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

/** As `findSavepoint` reads it. */
export function seal(record: Omit<SavepointRecord, 'version'>): Buffer {
  const savepoint = JSON.stringify({ version: VERSION, ...record } satisfies SavepointRecord);
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
  const fronts = noted.fronts.map(({ key, bytes }) => ({ key: savedBelow(prefix) + key, bytes }));
  let at = 0;
  for await (const chunk of readFronts(store, fronts)) {
    signal.throwIfAborted();
    const expected = header.subarray(at, at + chunk.byteLength);
    if (!chunk.subarray(0, expected.byteLength).equals(expected)) throw new SavepointLost('another header');
    await writer.write(chunk);
    at += chunk.byteLength;
  }
  const found = await writer.mark();
  if (found.bytes !== noted.bytes || found.sha256 !== noted.sha256) {
    throw new SavepointLost(`${noted.path} is not what was noted`);
  }
}

/** The bytes of the fronts, in chunks that are valid until the next is asked for; while one is used the next is read. */
async function* readFronts(store: Store, fronts: readonly Front[]): AsyncGenerator<Buffer> {
  const chunkBytes = Math.min(store.readBytes, Math.max(0, ...fronts.map(({ bytes }) => bytes)));
  const chunks = [Buffer.allocUnsafe(chunkBytes), Buffer.allocUnsafe(chunkBytes)];
  for (const { key, bytes } of fronts) {
    const reader = await lost(store.openReader(key));
    const read = (at: number): Promise<Buffer> | undefined => {
      if (at >= bytes) return undefined;
      const chunk = chunks[(at / chunkBytes) % 2]!.subarray(0, Math.min(chunkBytes, bytes - at));
      const filled = lost(reader.read(chunk, at)).then(() => chunk);
      filled.catch(() => {}); // it may fail before it is waited for
      return filled;
    };
    let next = read(0);
    try {
      for (let at = chunkBytes; next; at += chunkBytes) {
        const chunk: Buffer = await next;
        next = read(at);
        yield chunk;
      }
    } finally {
      await next?.catch(() => {});
      await reader.close();
    }
  }
}

async function lost<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new SavepointLost('its files are gone, unreadable, or still being written', { cause });
  }
}
