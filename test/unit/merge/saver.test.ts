import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArtifactWriter } from '../../../src/merge/artifact-writer.js';
import { MAX_RECORD_BYTES } from '../../../src/merge/savepoints.js';
import { createSaver } from '../../../src/merge/saver.js';
import type { Front, Store } from '../../../src/store/types.js';

const SAVES = 10;
const FEW_SUMS = [new Float64Array(10)];
const no = (): never => {
  throw new Error('no');
};

interface Faults {
  /** What `create` does when the record is there. */
  readonly created?: () => boolean;
  /** Before the second output is saved. */
  readonly saving?: () => void;
  readonly sums?: readonly Float64Array[];
  /** Between the folder of an output and its number. */
  readonly long?: string;
}

/**
 * Saves some times what two outputs have written: one ends a segment every time, the other puts a rest; what is left then,
 * and how often they were asked.
 */
async function leftAfterSaves({ created = () => true, saving, sums = FEW_SUMS, long = '' }: Faults) {
  const left = new Set<string>();
  let saves = 0;
  const output = (path: string, save: (key: string) => Front[]): ArtifactWriter => ({
    path,
    write: no,
    finish: no,
    abort: no,
    mark: async () => ({ path, bytes: 1, sha256: '' }),
    save: async (key) => {
      saves += 1;
      return save(`${key}/${long}${saves}`);
    },
  });
  const put = (key: string): Front => {
    left.add(key);
    return { key, bytes: 1 };
  };
  const segments: Front[] = [];
  const outputs = [
    output('segments', (key) => {
      segments.push(put(key));
      return [...segments];
    }),
    output('rest', (key) => {
      saving?.();
      return [put(key)];
    }),
  ];
  const store: Partial<Store> = {
    canSave: async () => true,
    create: async (key) => {
      left.add(key);
      return created();
    },
    delete: async (key) => void left.delete(key),
  };
  const options = { store: store as Store, prefix: 'a/', saveEveryMs: 0, signal: new AbortController().signal };
  const saver = createSaver(options, outputs);
  for (let item = 1; item <= SAVES; item++) {
    await saver.offer({ item_elements: 1, tensor: 0, item, sums });
    await saver.settled();
  }
  for (const { key } of segments) assert.ok(left.delete(key), 'a segment is a part of the output');
  return { saves, left: [...left].map((key) => key.replace('a/saved/', '')).sort() };
}

test('what is left is the last record and what it names', async () => {
  const { saves, left } = await leftAfterSaves({});
  assert.equal(saves, 2 * SAVES);
  assert.deepEqual(left, ['00000010.json', 'artifacts/rest/20']);
});

test('nothing is saved where the sums alone are too large for a record', async () => {
  assert.deepEqual(await leftAfterSaves({ sums: [new Float64Array(MAX_RECORD_BYTES / 8)] }), { saves: 0, left: [] });
});

test('nothing more is saved once a record has become too large', async () => {
  const { saves, left } = await leftAfterSaves({ long: 'x'.repeat(MAX_RECORD_BYTES) });
  assert.equal(saves, 2);
  assert.equal(left.length, 1);
});

test('records that cannot be written, though they may be there, pile nothing up', async () => {
  const { saves, left } = await leftAfterSaves({ created: no });
  assert.equal(saves, 2 * SAVES);
  assert.deepEqual(left, ['artifacts/rest/20']);
});

test('an output that fails once has the last record stay whole, and then nothing more', async () => {
  let failing = true;
  let asked = 0;
  const saving = () => {
    if (failing && ++asked > SAVES / 2) no();
  };
  assert.deepEqual((await leftAfterSaves({ saving })).left, ['00000005.json', 'artifacts/rest/10']);
  failing = false;
  assert.deepEqual((await leftAfterSaves({ saving })).left, ['00000010.json', 'artifacts/rest/20']);
});
