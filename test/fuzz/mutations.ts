/** Hostile edits of what is valid: bytes, and JSON values. */
import fc from 'fast-check';

/** Structure, near-numbers, separators of every format here, and bytes that UTF-8 does not have. */
const SPLICES = [
  ...['', '{', '}', '[', ']', ',', ':', '"', '\\', '-', '.', 'e', '0', '9', ' ', '\0', '\\u0061', '\\ud800', 'null'],
  ...['9007199254740993', '1e999', '-0', '-1', '"F8_E4M3"', '"__metadata__":{}', '"shape"', '{"a":1}', '[[]]'],
  ...['\r\n', '\r\n\r\n', '--', '--part', '; filename="x"', '../', '/', '%00', '%2e%2e%2f', '＼', '../../etc/passwd'],
  ...['__proto__', 'constructor', '\u202e', 'ａ', '*', '{a,b}', '[!a]', 'PK\x03\x04', '\u0080\u0002'],
].map((text) => Buffer.from(text));
const BROKEN = [
  Buffer.of(0xff),
  Buffer.of(0xc0, 0x80),
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.alloc(8, 0xff),
  Buffer.alloc(300, 0x5b),
];

const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.oneof(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 400 })),
  insert: fc.oneof(fc.constantFrom(...SPLICES, ...BROKEN), fc.uint8Array({ maxLength: 8 })),
});

/** Bytes with a few places cut out and something else put in. */
export function edited(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc.tuple(bytes, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([whole, edits]) =>
    edits.reduce((text, { at, remove, insert }) => {
      const position = Math.floor(at * text.byteLength);
      return Buffer.concat([text.subarray(0, position), insert, text.subarray(position + remove)]);
    }, whole),
  );
}

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

const strange: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.constantFrom<JsonValue>(null, true, false, '', [], {}, -1, 0, 1e308, -0, 2 ** 53, 0.1, 'x'.repeat(5_000)),
  fc.constantFrom<JsonValue>(
    '../x',
    'a/b',
    '__proto__',
    'ａ',
    'base\0',
    'e\u0301',
    '*'.repeat(256),
    '{'.repeat(100),
    '[!',
    '\\',
  ),
  fc.constantFrom<JsonValue>({ type: 'emr' }, { type: 'nothing' }, { __proto__: null, type: 'ties', density: 2 }, [
    'a',
    'a',
  ]),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>,
);

const jsonEdit = fc.record({
  where: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: fc.constantFrom('replace', 'remove', 'add', 'repeat'),
  value: strange,
  key: fc.oneof(fc.constantFrom('__proto__', 'type', 'name', 'constructor', 'force', ''), fc.string({ maxLength: 5 })),
});

/** A JSON value with some of its parts replaced, removed, repeated, or beside others. */
export function editedJson(values: readonly JsonValue[]): fc.Arbitrary<JsonValue> {
  return fc
    .tuple(fc.constantFrom(...values), fc.array(jsonEdit, { minLength: 1, maxLength: 3 }))
    .map(([value, edits]) => {
      const root: JsonValue[] = [structuredClone(value)];
      for (const { where, kind, value: other, key } of edits) {
        const places = placesOf(root);
        const { holder, at } = places[Math.min(places.length - 1, Math.floor(where * places.length))]!;
        const target = holder as Record<string | number, JsonValue>;
        if (kind === 'replace') target[at] = structuredClone(other);
        else if (kind === 'remove') delete target[at];
        else if (kind === 'repeat') target[at] = repeated(target[at] ?? null);
        else if (typeof target[at] === 'object' && target[at] !== null) {
          Object.defineProperty(target[at], key, {
            value: structuredClone(other),
            enumerable: true,
            writable: true,
            configurable: true,
          });
        }
      }
      return root[0] ?? null;
    });
}

/** Many of one value, as far as the whole stays a body that is read. */
function repeated(value: JsonValue): JsonValue[] {
  const count = Math.min(300, Math.floor(100_000 / JSON.stringify(value).length));
  return Array.from({ length: count }, () => value);
}

function placesOf(root: JsonValue): { holder: JsonValue; at: string | number }[] {
  if (typeof root !== 'object' || root === null) return [];
  const keys: (string | number)[] = Array.isArray(root) ? [...root.keys()] : Object.keys(root);
  return keys.flatMap((at) => [
    { holder: root, at },
    ...placesOf((root as Record<string | number, JsonValue>)[at] ?? null),
  ]);
}
