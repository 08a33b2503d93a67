import type { ObjectReader } from '../store/types.js';

const PICKLE_NAME = /\.(?:bin|pt|pth|ckpt|pkl)$/i;

export function isPickleName(name: string): boolean {
  return PICKLE_NAME.test(name);
}

/** Whether the file begins as PyTorch's do: a zip archive (since 1.6), or a pickle of protocol 2 to 5. */
export async function isPickle(reader: ObjectReader): Promise<boolean> {
  if (reader.bytes < 4) return false;
  const magic = Buffer.alloc(4);
  await reader.read(magic, 0);
  const isZip = magic.equals(Buffer.from('PK\x03\x04', 'latin1'));
  return isZip || (magic[0] === 0x80 && magic[1]! >= 2 && magic[1]! <= 5);
}

/** What to do about a pickle. It runs code when it is loaded, so this project never reads one. */
export const PICKLE_ADVICE =
  'Pickles can run code and are not read. Convert the checkpoint, for instance with ' +
  '`safetensors.torch.save_file(torch.load(path, weights_only=True), "model.safetensors", metadata={"format": "pt"})`.';
