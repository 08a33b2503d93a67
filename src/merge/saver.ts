import { savedBelow } from '../catalog/keys.js';
import type { Front, Store } from '../store/types.js';
import type { Artifact, ArtifactWriter } from './artifact-writer.js';
import { MAX_RECORD_BYTES, type Position, seal } from './savepoints.js';

export interface Saver {
  /** After an item; notes the position if it is time to. Waits for the cut, not for the store. */
  offer(position: Position): Promise<void>;
  /** Nothing is being written any more. */
  settled(): Promise<void>;
  /** Removes all that was noted, since the artifacts are whole. */
  remove(): Promise<void>;
}

export interface SaverOptions {
  readonly store: Store;
  /** Key prefix of the attempt. */
  readonly prefix: string;
  readonly saveEveryMs?: number | undefined;
  readonly signal: AbortSignal;
}

/** Notes every some seconds how far the outputs of an attempt are. That it fails costs the next attempt time, nothing else. */
export function createSaver(options: SaverOptions, outputs: readonly ArtifactWriter[]): Saver {
  const { store, prefix, saveEveryMs = Number.POSITIVE_INFINITY, signal } = options;
  const below = savedBelow(prefix);
  const recordKey = (number: number) => `${below}${String(number).padStart(8, '0')}.json`;
  let last = performance.now();
  let number = 0;
  /** The last record, and what it names. */
  let named: ReadonlySet<string> = new Set();
  /** What the last save of each output told: segments that it goes on from, and a rest. */
  const latest: (readonly Front[])[] = outputs.map(() => []);
  /** All that may lie there. */
  const placed = new Set<string>();
  let begun = false;
  let tooLarge = false;
  let running: Promise<void> | undefined;
  /** Of what is of no use any more. */
  let removing = Promise.resolve();

  const saveOutputs = async () => {
    const saving = outputs.map(async (output, n) => {
      latest[n] = await output.save(`${below}artifacts/${output.path}`, signal);
      for (const { key } of latest[n]) placed.add(key);
    });
    await Promise.allSettled(saving); // none goes on when another has failed
    await Promise.all(saving);
  };

  const note = async (position: Position, marks: readonly Artifact[]): Promise<void> => {
    // Now, since the merge goes on adding to them.
    const sums = Buffer.concat(position.sums.map((one) => new Uint8Array(one.buffer, one.byteOffset, one.byteLength)));
    await saveOutputs();
    const fronts = (n: number) => latest[n]!.map((front) => relative(front, below));
    const text = seal({
      ...position,
      sums: sums.toString('base64'),
      outputs: marks.map((mark, n) => ({ ...mark, fronts: fronts(n) })),
    });
    tooLarge = text.byteLength > MAX_RECORD_BYTES; // for all the fronts: there will be no fewer
    if (tooLarge) return;
    await removing;
    const record = recordKey(++number);
    placed.add(record);
    await store.create(record, text);
    named = new Set([record, ...latest.flat().map(({ key }) => key)]);
  };

  /** Also after a failure, when the outputs go on from what no record names. */
  const removeUnused = async (): Promise<void> => {
    const used = new Set([...named, ...latest.flat().map(({ key }) => key)]);
    const unused = [...placed].filter((key) => !used.has(key));
    // A record sorts before what it names, without which it is worth nothing.
    for (const key of unused.sort()) {
      await store.delete(key).then(
        () => placed.delete(key),
        () => {}, // all of it goes in the end
      );
    }
  };

  return {
    async offer(position) {
      if (tooLarge || running || performance.now() - last < saveEveryMs) return;
      last = performance.now();
      // As many in every record: with too many, nothing need be saved to find that out.
      tooLarge = base64Bytes(position.sums) > MAX_RECORD_BYTES;
      if (tooLarge) return;
      if (!(await store.canSave())) return;
      begun = true;
      const marks = await Promise.all(outputs.map((output) => output.mark()));
      running = note(position, marks)
        .catch(() => {})
        .finally(() => {
          running = undefined;
          removing = removeUnused();
        });
    },
    async settled() {
      await running;
      await removing;
    },
    async remove() {
      if (begun) await store.deletePrefix(below);
    },
  };
}

function base64Bytes(sums: readonly Float64Array[]): number {
  return Math.ceil(sums.reduce((bytes, one) => bytes + one.byteLength, 0) / 3) * 4;
}

/** Records name every front, and a long merge has many. */
function relative({ key, bytes }: Front, below: string): Front {
  return { key: key.slice(below.length), bytes };
}
