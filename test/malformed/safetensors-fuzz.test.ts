import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_LIMITS } from '../../src/checkpoint/limits.js';
import { layoutSafetensors } from '../../src/checkpoint/safetensors-layout.js';
import { parseHeader } from '../../src/checkpoint/safetensors-read.js';
import { parseIndex } from '../../src/checkpoint/shard-index.js';
import { DTYPE_BYTES, type Dtype } from '../../src/dtype.js';
import { EmrError } from '../../src/errors.js';
import { rawSafetensors, safetensorsFile } from '../helpers/safetensors-file.js';

const dtypes = fc.constantFrom(...(Object.keys(DTYPE_BYTES) as Dtype[]));
const names = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.constantFrom('__proto__', 'constructor', '0', '10', 'é', '\u{1f600}', 'ａ', '"', '\\', '\0', '\u2028'),
);
const specs = fc.uniqueArray(
  fc.record({ name: names, dtype: dtypes, shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }) }),
  { selector: ({ name }) => name, maxLength: 12 },
);

/** Whatever the bytes, they are accepted or refused by a code of the format; true if accepted. */
function survives(bytes: Uint8Array, codes: RegExp, parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    assert.ok(
      error instanceof EmrError && codes.test(error.code),
      `${error} for ${Buffer.from(bytes).toString('hex')}`,
    );
    return false;
  }
}
const readerSurvives = (file: Uint8Array) =>
  survives(file, /^(safetensors_|dtype_refused$)/, () => parseHeader(file, file.byteLength, DEFAULT_LIMITS));
const indexSurvives = (bytes: Uint8Array) =>
  survives(bytes, /^(index_(invalid|shard_name)|safetensors_name)$/, () => parseIndex(bytes, DEFAULT_LIMITS));

/** What a hostile edit puts in: structure, near-numbers, and bytes that UTF-8 does not have. */
const splices = fc
  .oneof(
    fc.constantFrom('', '{', '}', '[', ']', ',', ':', '"', '\\', '-', '.', 'e', '0', '9', ' ', '\0', '\\u0061', 'null'),
    fc.constantFrom('9007199254740993', '1e999', '-0', '"F8_E4M3"', '"__metadata__":{}', '"shape"', '{"a":1}', '[[]]'),
  )
  .map((text) => Buffer.from(text));
const edits = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.integer({ min: 0, max: 6 }),
    insert: splices,
  }),
  { minLength: 1, maxLength: 3 },
);

function mutate(bytes: Buffer, changes: readonly { at: number; remove: number; insert: Buffer }[]): Buffer {
  return changes.reduce((text, { at, remove, insert }) => {
    const position = Math.floor(at * text.byteLength);
    return Buffer.concat([text.subarray(0, position), insert, text.subarray(position + remove)]);
  }, bytes);
}

test('what the layout writes, the reader reads: the same tensors at the same places', () => {
  fc.assert(
    fc.property(specs, (tensors) => {
      const layout = layoutSafetensors(tensors);
      const header = parseHeader(layout.header, layout.bytes, DEFAULT_LIMITS);
      assert.deepEqual(header.tensors, layout.tensors);
      assert.deepEqual({ ...header.metadata }, { format: 'pt' });
      assert.equal(header.dataStart, layout.header.byteLength);
      assert.equal(header.dataStart % 8, 0);
      assert.deepEqual(new Set(header.tensors.map(({ name }) => name)), new Set(tensors.map(({ name }) => name)));
    }),
    { numRuns: 1000 },
  );
});

test('random bytes are refused by a code of the format', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void readerSurvives(bytes)),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void readerSurvives(rawSafetensors(bytes))),
    { numRuns: 1000 },
  );
});

test('an edited header is read as a consistent file or refused by a code of the format', () => {
  let accepted = 0;
  fc.assert(
    fc.property(specs, edits, (tensors, changes) => {
      const file = safetensorsFile(tensors);
      const start = layoutSafetensors(tensors).header.byteLength;
      const edited = rawSafetensors(mutate(file.subarray(8, start), changes), file.subarray(start));
      if (readerSurvives(edited)) accepted++;
    }),
    { numRuns: 3000 },
  );
  assert.ok(accepted < 2000, 'the edits change nothing');
});

test('an edited file is refused by a code of the format wherever the edit is', () => {
  fc.assert(
    fc.property(specs, edits, (tensors, changes) => void readerSurvives(mutate(safetensorsFile(tensors), changes))),
    { numRuns: 2000 },
  );
});

test('any JSON value for a header is refused by a code of the format, or has no tensors', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      const file = rawSafetensors(json);
      if (readerSurvives(file)) assert.deepEqual(parseHeader(file, file.byteLength, DEFAULT_LIMITS).tensors, []);
    }),
    { numRuns: 1000 },
  );
});

test('an edited index is read or refused by a code of the index', () => {
  fc.assert(
    fc.property(fc.dictionary(names, fc.constantFrom('a.safetensors', 'b.safetensors')), edits, (map, changes) => {
      const index = Buffer.from(JSON.stringify({ metadata: { total_size: 1.5 }, weight_map: map }));
      indexSurvives(mutate(index, changes));
    }),
    { numRuns: 2000 },
  );
});
