import assert from 'node:assert/strict';
import { EmrError, type ErrorCode } from '../../src/errors.js';
import type { ListPage, Store } from '../../src/store/types.js';

/** Fails unless `work` is refused with `code`, in a text that shows no local path and no address. */
export async function refused(code: ErrorCode, work: () => Promise<unknown>): Promise<EmrError> {
  let caught: unknown;
  try {
    await work();
  } catch (error) {
    caught = error;
  }
  assert.ok(caught instanceof EmrError, `expected ${code}, got ${caught}`);
  assert.equal(caught.code, code, caught.message);
  assert.doesNotMatch(caught.detail, /\/tmp\/|127\.0\.0\.1|localhost/);
  return caught;
}

export async function pages(store: Store, prefix: string, delimiter = false): Promise<ListPage> {
  const all: ListPage = { objects: [], prefixes: [] };
  for await (const page of store.list(prefix, { delimiter })) {
    all.objects.push(...page.objects);
    all.prefixes.push(...page.prefixes);
  }
  return all;
}

export async function keys(store: Store, prefix = ''): Promise<string[]> {
  return (await pages(store, prefix)).objects.map((object) => object.key);
}

/** `length` bytes that differ at every offset near to another, so that a shifted read is seen. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

/** A copy of `bytes` over shared memory, which the SDK and some of Node's functions do not take. */
export function shared(bytes: Uint8Array): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  view.set(bytes);
  return view;
}

export async function readAll(store: Store, key: string): Promise<Buffer> {
  const reader = await store.openReader(key);
  try {
    const bytes = Buffer.alloc(reader.bytes);
    await reader.read(bytes, 0);
    return bytes;
  } finally {
    await reader.close();
  }
}
