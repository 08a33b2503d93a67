import { createHash } from 'node:crypto';
import type { ObjectWriter, Store } from '../store/types.js';

/** One artifact of a merge, as the commit record lists it. */
export interface Artifact {
  /** As under the attempt, and in `GET …/files`. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ArtifactWriter {
  readonly path: string;
  write(bytes: Uint8Array): Promise<void>;
  /** What was written so far, and is with the store. */
  mark(): Promise<Artifact>;
  /** As the store's writers have it, for what `mark` told before. */
  readonly save: ObjectWriter['save'];
  /** Makes the object durable. */
  finish(): Promise<Artifact>;
  abort(): Promise<void>;
}

/** Less than this is gathered before it is written: a tile's mask is 1/32 of its weights, and there are N of them. */
const GATHER_BYTES = 256 * 1024;

/** Writes an object of known size front to back and hashes it on the way, so that no artifact is read to be listed. */
export async function openArtifact(store: Store, prefix: string, path: string, bytes: number): Promise<ArtifactWriter> {
  const writer = await store.openWriter(prefix + path, bytes);
  const hash = createHash('sha256');
  const gathered = Buffer.allocUnsafeSlow(Math.min(GATHER_BYTES, bytes));
  let pending = 0;
  let written = 0;

  const flush = async () => {
    const full = gathered.subarray(0, pending);
    pending = 0;
    if (full.byteLength > 0) await writer.write(full);
  };
  return {
    path,
    save: (key, signal) => writer.save(key, signal),
    async write(chunk) {
      written += chunk.byteLength;
      if (pending + chunk.byteLength > gathered.byteLength) await flush();
      if (chunk.byteLength <= gathered.byteLength - pending) {
        gathered.set(chunk, pending);
        pending += chunk.byteLength;
        hash.update(chunk);
        return;
      }
      const sent = writer.write(chunk);
      hash.update(chunk);
      await sent;
    },
    async mark() {
      await flush();
      return { path, bytes: written, sha256: hash.copy().digest('hex') };
    },
    async finish() {
      await flush();
      await writer.finish();
      return { path, bytes, sha256: hash.digest('hex') };
    },
    abort: () => writer.abort(),
  };
}

/** The file store syncs in libuv's four threads; more at once would only queue there. */
const SYNCS_AT_ONCE = 4;

/** The artifacts of one attempt: `abort` removes what is not finished, `finish` waits until all are durable. */
export function artifactSet(store: Store, prefix: string) {
  const opening = new Set<Promise<ArtifactWriter>>();
  const open = new Set<ArtifactWriter>();
  const finishing = new Set<Promise<void>>();
  const done: Artifact[] = [];
  let failure: unknown;

  const set = {
    async open(path: string, bytes: number): Promise<ArtifactWriter> {
      const opened = openArtifact(store, prefix, path, bytes);
      opening.add(opened);
      try {
        const writer = await opened;
        open.add(writer);
        return writer;
      } finally {
        opening.delete(opened);
      }
    },
    /** Starts to make a written artifact durable; waits only when several are under way. */
    async close(writer: ArtifactWriter): Promise<void> {
      const finished = writer
        .finish()
        .then((artifact) => {
          done.push(artifact);
          open.delete(writer);
        })
        .catch((error) => {
          failure ??= error;
        })
        .finally(() => finishing.delete(finished));
      finishing.add(finished);
      if (finishing.size >= SYNCS_AT_ONCE) await Promise.race(finishing);
    },
    /** A small artifact at once. */
    async write(path: string, bytes: Uint8Array): Promise<void> {
      const writer = await set.open(path, bytes.byteLength);
      await writer.write(bytes);
      await set.close(writer);
    },
    /** All artifacts in order of path, or the first error of any. */
    async finish(): Promise<Artifact[]> {
      await Promise.all(finishing);
      if (failure !== undefined) throw failure;
      return done.sort((a, b) => (a.path < b.path ? -1 : 1));
    },
    async abort(): Promise<void> {
      await Promise.allSettled(opening); // several are opened at once, and one may have failed
      await Promise.all(finishing);
      await Promise.allSettled([...open].map((writer) => writer.abort()));
    },
  };
  return set;
}

export type ArtifactSet = ReturnType<typeof artifactSet>;
