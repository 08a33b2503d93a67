import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DEFAULT_LIMITS } from '../../../src/checkpoint/limits.js';
import { layoutSafetensors } from '../../../src/checkpoint/safetensors-layout.js';
import { parseHeader } from '../../../src/checkpoint/safetensors-read.js';
import type { TensorSpec } from '../../../src/checkpoint/types.js';
import { DTYPE_BYTES, type Dtype, elementCount } from '../../../src/dtype.js';
import { python, runPython } from '../../helpers/python.js';
import { safetensorsFile, type TestTensor } from '../../helpers/safetensors-file.js';

/** Writes the tensors of a JSON list with upstream's own writer; raw bytes, as numpy has no BF16. */
const SAVE = `
import json, sys, numpy as np
from safetensors import TensorSpec, serialize_file
names = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16", "BOOL": "bool"}
specs, keep = {}, []
for t in json.load(open(sys.argv[1])):
    d = t["dtype"]
    data = np.frombuffer(bytes.fromhex(t["data"]) or b"\\0", np.uint8)
    keep.append(data)
    name = names.get(d) or ("u" if d[0] == "U" else "") + "int" + d[1:]
    specs[t["name"]] = TensorSpec(dtype=name, shape=t["shape"], data_ptr=data.ctypes.data, data_len=len(t["data"]) // 2)
serialize_file(specs, sys.argv[2], metadata={"format": "pt"})
`;

/** Prints the tensors of a file as upstream's own reader finds them. */
const LOAD = `
import json, sys
from safetensors import deserialize
tensors = deserialize(open(sys.argv[1], "rb").read())
print(json.dumps([{"name": n, "dtype": t["dtype"], "shape": t["shape"], "data": bytes(t["data"]).hex()} for n, t in tensors]))
`;

const SAVE_NUMPY = `
import sys, numpy as np
from safetensors.numpy import save_file
kinds = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]
tensors = {f"layer.{i}.{k}": np.arange(6).astype(k).reshape(2, 3) for i, k in enumerate(kinds)}
save_file(tensors | {"scalar": np.array(1.5, "f4"), "empty": np.zeros((0, 3), "f4")}, sys.argv[1], metadata={"format": "pt"})
`;

const LOAD_NUMPY = `
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="np") as f:
    print(f.metadata(), f.get_tensor("w").tolist(), f.get_tensor("w").dtype)
`;

const DTYPES = Object.keys(DTYPE_BYTES) as Dtype[];
const NAMES = [
  ...['model.embed_tokens.weight', 'z', 'Z', 'a/b', '__proto__', 'constructor', '10', '9', 'a b', ' '],
  ...['"quoted"', 'back\\slash', 'controls \0\x01\b\t\n\v\f\r\x1f', 'delete \x7f\x80\x9f', 'é', 'e\u0301'],
  ...['line \u2028 and paragraph \u2029', '\ud7ff', '\ue000', '\uff41', '\uffff', '\u{10000}', '\u{1f600}', "<>&'+"],
];
const SHAPES = [[], [1], [3], [2, 3], [0], [4, 0, 2], [1, 1, 1, 5]];

/** Every dtype with every name and shape in some combination, with bytes that tell the tensors apart. */
const TENSORS: TestTensor[] = DTYPES.flatMap((dtype, d) =>
  NAMES.filter((_, n) => n % DTYPES.length === d || n % 3 === d % 3).map((name, n) => {
    const shape = SHAPES[(n + d) % SHAPES.length]!;
    const bytes = elementCount(shape) * DTYPE_BYTES[dtype];
    const bit = dtype === 'BOOL' ? 1 : 255;
    return { name: `${name}${dtype}`, dtype, shape, data: Uint8Array.from({ length: bytes }, (_, i) => (i + n) & bit) };
  }),
).concat(NAMES.map((name) => ({ name, dtype: 'F32', shape: [], data: new Uint8Array(4) })));

const plain = ({ name, dtype, shape, data }: TestTensor) => ({
  name,
  dtype,
  shape,
  data: Buffer.from(data!).toString('hex'),
});
const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emr-interop-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const found = await python();
const skip = 'skip' in found ? found.skip : false;
const withPython = (what: string, body: (path: string, file: string) => Promise<void>) =>
  test(what, { skip }, async () => {
    assert.ok('path' in found);
    await body(found.path, join(folder, `${what.replaceAll(/\W+/g, '-')}.safetensors`));
  });

withPython('upstream writes the same tensors to the same bytes', async (path, file) => {
  await writeFile(`${file}.json`, JSON.stringify(TENSORS.map(plain)));
  await runPython(path, SAVE, [`${file}.json`, file]);
  const upstream = await readFile(file);
  const { header, bytes } = layoutSafetensors(TENSORS);
  assert.equal(upstream.toString('utf8', 0, header.byteLength), header.toString());
  assert.equal(upstream.byteLength, bytes);
  assert.ok(upstream.equals(safetensorsFile(TENSORS)));
});

withPython('every length of padding is the same', async (path, file) => {
  for (let length = 1; length <= 8; length++) {
    const tensors: TestTensor[] = [{ name: 'x'.repeat(length), dtype: 'U8', shape: [1], data: Uint8Array.of(7) }];
    await writeFile(`${file}.json`, JSON.stringify(tensors.map(plain)));
    await runPython(path, SAVE, [`${file}.json`, file]);
    assert.deepEqual(await readFile(file), safetensorsFile(tensors));
  }
});

withPython('upstream reads our file: the same names, dtypes, shapes and bytes', async (path, file) => {
  await writeFile(file, safetensorsFile(TENSORS));
  const loaded = JSON.parse(await runPython(path, LOAD, [file])) as { name: string }[];
  assert.deepEqual(loaded.sort(byName), TENSORS.map(plain).sort(byName));
});

withPython('numpy save_file of many dtypes is read, and laid out again the same', async (path, file) => {
  await runPython(path, SAVE_NUMPY, [file]);
  const bytes = await readFile(file);
  const { tensors, metadata } = parseHeader(bytes, bytes.byteLength, DEFAULT_LIMITS);
  assert.equal(tensors.length, 14);
  assert.deepEqual({ ...metadata }, { format: 'pt' });
  const specs: TensorSpec[] = tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  const layout = layoutSafetensors(specs.reverse());
  assert.deepEqual(layout.tensors, tensors);
  assert.deepEqual(bytes.subarray(0, layout.header.byteLength), layout.header);
  const scalar = tensors.find(({ name }) => name === 'scalar');
  assert.equal(bytes.readFloatLE(scalar!.offset), 1.5);
});

withPython('safe_open takes our file', async (path, file) => {
  const data = new Uint8Array(Float32Array.of(1, -2.5).buffer);
  await writeFile(file, safetensorsFile([{ name: 'w', dtype: 'F32', shape: [1, 2], data }]));
  assert.equal((await runPython(path, LOAD_NUMPY, [file])).trim(), "{'format': 'pt'} [[1.0, -2.5]] float32");
});
