import { EmrError, type ErrorCode } from '../errors.js';

/** What a checkpoint's file may not be: code to be run by whoever loads it, or something to be unpacked. */
export type Foreign = 'pickle' | 'archive';

/** As much of a file as decides: tar has its mark at byte 257. */
export const HEAD_BYTES = 512;

const ZIP = 'PK\x03\x04';
/** Bytes, at an offset, that a file of a kind begins with. */
const MARKS: readonly (readonly [kind: Foreign, mark: string, at?: number])[] = [
  // PROTO, and the protocols of Python 2.3 to today. Older ones are plain text, which nothing tells from other text.
  ...['\x02', '\x03', '\x04', '\x05'].map((protocol) => ['pickle', `\x80${protocol}`] as const),
  ['archive', ZIP],
  ['archive', 'PK\x05\x06'],
  ['archive', '\x1f\x8b'],
  ['archive', 'BZh'],
  ['archive', '\xfd7zXZ\x00'],
  ['archive', '\x28\xb5\x2f\xfd'],
  ['archive', '\x04\x22\x4d\x18'],
  ['archive', '7z\xbc\xaf\x27\x1c'],
  ['archive', 'Rar!\x1a\x07'],
  ['archive', 'ustar', 257],
];

/**
 * What a file is by its first bytes, at least `HEAD_BYTES` of them if it has so many; fewer may say it already. The name
 * is asked for one thing only: the length that a safetensors file begins with may be any of these marks.
 */
export function foreignKind(file: string, head: Uint8Array): Foreign | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1', 0, HEAD_BYTES);
  if (file.endsWith('.safetensors') && (text.length < 9 || text[8] === '{')) return undefined;
  if (text.startsWith(ZIP)) return isPickledZip(text) ? 'pickle' : 'archive';
  return MARKS.find(([, mark, at = 0]) => text.startsWith(mark, at))?.[0];
}

/** `torch.save` writes a zip archive whose first file is a pickle, `<name>/data.pkl`. */
function isPickledZip(text: string): boolean {
  const nameLength = text.charCodeAt(26) + 256 * text.charCodeAt(27);
  return text.slice(30, 30 + nameLength).endsWith('.pkl');
}

const CONVERT =
  'Convert weights, for instance with ' +
  '`safetensors.torch.save_file(torch.load(path, weights_only=True), "model.safetensors", metadata={"format": "pt"})`';

/** What to do about a pickle among weights. It runs code when it is loaded, so this project never reads one. */
export const PICKLE_ADVICE = `Pickles can run code and are not read. ${CONVERT}.`;

const REFUSALS: Record<Foreign, readonly [code: ErrorCode, what: string]> = {
  pickle: ['pickle_refused', `a pickle, which can run code and is not stored. ${CONVERT}; leave other pickles out.`],
  archive: [
    'archive_refused',
    `an archive or compressed, and nothing is unpacked here: send what is in it. ${CONVERT} if it is PyTorch's.`,
  ],
};

export function refuseForeign(file: string, kind: Foreign): EmrError {
  const [code, what] = REFUSALS[kind];
  return new EmrError(code, `${file} is ${what}`, { file });
}

/** Names that say that a file is something else, which a loader would take for it. */
const OTHER_NAME = /\.(?:safetensors|json|jsonl|txt|md|ya?ml|jinja|py|csv)$/i;

export function isDisguised(file: string): boolean {
  return OTHER_NAME.test(file);
}
