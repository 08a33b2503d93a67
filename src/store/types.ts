/**
 * The object store: everything durable lies in it as immutable objects under slash-separated keys. Two
 * implementations: `fs.ts` (a folder) and `s3.ts` (a bucket); both pass test/conformance/store.ts.
 *
 * Keys are relative, `/`-separated, with no empty, `.` or `..` segment; anything else is `invalid_name`.
 * A missing object is `undefined` from `stat`, `readSmall`, and a `not_found` EmrError from `openReader`.
 * No room left is `disk_full`; a store that does not answer is `store_unavailable`.
 */
export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
  /** Changes when the object's bytes change: S3's ETag, or size and mtime of a file. Opaque. */
  readonly version: string;
  readonly modified: Date;
}

/** Random reads of one version of one object. If the object is replaced meanwhile, reads fail with `source_changed`. */
export interface ObjectReader {
  readonly bytes: number;
  readonly version: string;
  /** Fills `target` (which may lie over a SharedArrayBuffer) with the bytes from `offset`; all of it or an error. */
  read(target: Uint8Array, offset: number): Promise<void>;
  /** The same without leaving the thread; only where that does not wait for a network. */
  readonly readSync?: (target: Uint8Array, offset: number) => void;
  close(): Promise<void>;
}

/** The first `bytes` of an object, which may have more. */
export interface Front {
  readonly key: string;
  readonly bytes: number;
}

/** Fills one object of known size front to back. The object exists, whole and durable, only after `finish`. */
export interface ObjectWriter {
  /** Appends; the caller may reuse `bytes` after the promise resolves. `bytes` may lie over a SharedArrayBuffer. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the object; `upload_incomplete` when the bytes written are not the size announced. */
  finish(): Promise<ObjectInfo>;
  /** Removes what was written. Safe to call at any time, also after an error or after `finish` (then it does nothing). */
  abort(): Promise<void>;
  /**
   * Makes what was written so far readable before the end, durably, at `key` or below it, where it is the caller's to
   * remove: the fronts, in order, are those bytes and stay so. Where they lie may differ between two calls. Writing goes
   * on meanwhile, but one call at a time, none during a `write`, and `finish` and `abort` only after it. `signal` ends it
   * for an `abort` that is to follow. Only where the store `canSave`.
   */
  save(key: string, signal: AbortSignal): Promise<Front[]>;
  /**
   * A file that several threads may fill at known offsets in place of `write`; it has its full size already. Only
   * where the store is a local disk. `finish` makes what they wrote durable.
   */
  readonly path?: string;
}

export interface ListPage {
  readonly objects: ObjectInfo[];
  /** Common prefixes one segment below the prefix (with `delimiter`), each with a trailing `/`. */
  readonly prefixes: string[];
}

/** What is needed to open the same store in another thread or process; plain data. */
export type StoreConfig =
  | { readonly kind: 'file'; readonly root: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly prefix: string;
      readonly endpoint?: string;
      readonly checksums?: 'when_required' | 'when_supported';
    };

export interface Store {
  readonly config: StoreConfig;
  /** How many bytes to ask for at a time: enough to hide the latency of one request. */
  readonly readBytes: number;
  stat(key: string): Promise<ObjectInfo | undefined>;
  openReader(key: string): Promise<ObjectReader>;
  /** A small object whole; `too_large` if it is beyond `limit` bytes. */
  readSmall(key: string, limit?: number): Promise<Buffer | undefined>;
  /** Writes a small object once, durably: false, and nothing changed, if the key exists. Exactly one of racing calls wins. */
  create(key: string, bytes: Uint8Array): Promise<boolean>;
  /** Whether its writers can `save`. May take some requests, once. */
  canSave(): Promise<boolean>;
  /** A large object of known size. An object already at the key is replaced, atomically, at `finish`. */
  openWriter(key: string, bytes: number): Promise<ObjectWriter>;
  /**
   * Streams an object of unknown size in: visible and durable only when the source has ended without error; nothing is
   * left when it throws or `signal` aborts. Memory is bounded whatever the size.
   */
  put(key: string, source: AsyncIterable<Uint8Array>, options?: { signal?: AbortSignal }): Promise<ObjectInfo>;
  /** All objects below `prefix` (`''` or ending in `/`), in byte order of key; with `delimiter`, one level only. */
  list(prefix: string, options?: { delimiter?: boolean }): AsyncIterable<ListPage>;
  /** No error if it is not there. */
  delete(key: string): Promise<void>;
  /**
   * Everything below `prefix`, which ends in `/`; with it what unfinished writers left there. Objects below `keep`, one
   * segment further and with a `/` too, stay; nobody may be writing there.
   */
  deletePrefix(prefix: string, options?: { keep?: string }): Promise<void>;
  /** Throws `store_unavailable` if the store cannot be used now. */
  check(): Promise<void>;
  close(): Promise<void>;
}
