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
  let named: readonly string[] = [];
  let begun = false;
  let running: Promise<void> | undefined;
  /** Of what a later record replaced. */
  let removing = Promise.resolve();

  const saveOutputs = async (marks: readonly Artifact[]) => {
    const saving = outputs.map((output) => output.save(`${below}artifacts/${output.path}`, signal));
    await Promise.allSettled(saving); // none goes on when another has failed
    const saved = await Promise.all(saving);
    return marks.map((mark, n) => ({ ...mark, fronts: saved[n]! }));
  };

  const note = async (position: Position, marks: readonly Artifact[]): Promise<void> => {
    const sums = Buffer.concat(position.sums.map((one) => new Uint8Array(one.buffer, one.byteOffset, one.byteLength)));
    const noted = { ...position, sums: sums.toString('base64') };
    const saved = await saveOutputs(marks);
    const text = seal({
      ...noted,
      outputs: saved.map(({ fronts, ...mark }) => ({ ...mark, fronts: fronts.map((front) => relative(front, below)) })),
    });
    if (text.byteLength > MAX_RECORD_BYTES) return;
    await removing;
    const record = recordKey(++number);
    await store.create(record, text);
    const names = new Set([record, ...saved.flatMap(({ fronts }) => fronts.map(({ key }) => key))]);
    removing = removeAll(named.filter((key) => !names.has(key)));
    named = [...names];
  };

  const removeAll = async (keys: readonly string[]): Promise<void> => {
    for (const key of keys) await store.delete(key).catch(() => {}); // all of it goes in the end
  };

  return {
    async offer(position) {
      if (running || performance.now() - last < saveEveryMs) return;
      last = performance.now();
      if (!(await store.canSave())) return;
      begun = true;
      const marks = await Promise.all(outputs.map((output) => output.mark()));
      running = note(position, marks)
        .catch(() => {})
        .finally(() => {
          running = undefined;
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

/** Records name every front, and a long merge has many. */
function relative({ key, bytes }: Front, below: string): Front {
  return { key: key.slice(below.length), bytes };
}
