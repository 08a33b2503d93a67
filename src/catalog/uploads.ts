import { randomBytes } from 'node:crypto';
import { EmrError } from '../errors.js';
import { checkFileName } from '../names.js';
import type { Store } from '../store/types.js';
import type { CheckpointCatalog } from './checkpoints.js';
import { readFact, writeFact } from './facts.js';
import type { Ingest, IngestFile } from './ingest.js';
import { keys } from './keys.js';
import { type CheckpointRecord, uploadRecord } from './records.js';
import { meterUpload } from './upload-stream.js';

export interface UploadedFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A multipart upload: several files, then `commit`; or `abort`, which leaves nothing but what was committed after all. */
export interface Upload {
  add(file: string, source: AsyncIterable<Uint8Array>): Promise<void>;
  commit(): Promise<CheckpointRecord>;
  abort(): Promise<void>;
}

export interface Uploads {
  /**
   * Of several uploads of one name the first to commit gets it; the others are refused with `name_taken`.
   * @param source where it comes from, if not from a client
   */
  begin(namespace: string, name: string, source?: string): Promise<Upload>;
  /** One file of a checkpoint that is completed later; sent again, the later one counts. */
  putFile(namespace: string, name: string, file: string, source: AsyncIterable<Uint8Array>): Promise<UploadedFile>;
  /** Makes a checkpoint of the files that were put. */
  complete(namespace: string, name: string): Promise<CheckpointRecord>;
}

export interface UploadsOptions {
  readonly store: Store;
  readonly ingest: Ingest;
  readonly checkpoints: CheckpointCatalog;
  readonly maxBytes: number;
  readonly now: () => number;
}

/**
 * Every upload writes under an id of its own, so that two uploads of one name can never mix their bytes; the checkpoint's
 * record, created once, says which of them it is. Ids sort by time.
 */
export function createUploads({ store, ingest, checkpoints, maxBytes, now }: UploadsOptions): Uploads {
  const newId = () => `${now().toString(36).padStart(9, '0')}-${randomBytes(6).toString('hex')}`;

  const receive = async (prefix: string, file: string, source: AsyncIterable<Uint8Array>, limit: number) => {
    const key = `${prefix}files/${checkFileName(file)}`;
    const { stream, result } = meterUpload(file, source, limit);
    const { version } = await store.put(key, stream);
    return { name: file, ...result, version, location: { in: 'store', key } } satisfies IngestFile;
  };

  /**
   * Takes back an upload that failed. The record decides whether it has: the answer to writing it may have been lost after
   * it took effect, and while it cannot be read nothing may be removed.
   */
  const discard = async (namespace: string, name: string, prefix: string): Promise<void> => {
    const record = await checkpoints.find(namespace, name);
    if (!record || !isUsedBy(record.files, prefix)) await store.deletePrefix(prefix);
  };

  /** What else was uploaded under the name, files that were sent again for one, is of no use any more. */
  const removeUnused = async (namespace: string, name: string, files: readonly IngestFile[]): Promise<void> => {
    for await (const { prefixes } of store.list(keys.uploads(namespace, name), { delimiter: true })) {
      for (const prefix of prefixes) {
        if (!isUsedBy(files, prefix)) await store.deletePrefix(prefix);
      }
    }
  };

  const commit = async (
    namespace: string,
    name: string,
    files: IngestFile[],
    source?: string,
  ): Promise<CheckpointRecord> => {
    const record = await ingest.commit(namespace, name, files, source === undefined ? undefined : { source });
    // The checkpoint is there: what cannot be removed now goes with it.
    await removeUnused(namespace, name, files).catch(() => {});
    return record;
  };

  return {
    async begin(namespace, name, source) {
      await ingest.requireFree(namespace, name);
      const prefix = keys.upload(namespace, name, newId());
      const files: IngestFile[] = [];
      let left = maxBytes;
      return {
        async add(file, source) {
          ingest.requireFiles(files.length + 1);
          if (files.some((known) => known.name === file)) {
            throw new EmrError('invalid_request', `The file ${file} was sent twice.`, { file });
          }
          const received = await receive(prefix, file, source, left);
          left -= received.bytes;
          files.push(received);
        },
        commit: () => commit(namespace, name, files, source),
        abort: () => discard(namespace, name, prefix),
      };
    },

    async putFile(namespace, name, file, source) {
      await ingest.requireFree(namespace, name);
      const prefix = keys.upload(namespace, name, newId());
      try {
        const { bytes, sha256 } = await receive(prefix, file, source, maxBytes);
        const uploaded = { file, bytes, sha256 };
        // The checkpoint may have been completed meanwhile, without this file.
        await ingest.requireFree(namespace, name);
        await writeFact(store, `${prefix}upload.json`, uploaded);
        return uploaded;
      } catch (error) {
        await discard(namespace, name, prefix);
        throw error;
      }
    },

    async complete(namespace, name) {
      await ingest.requireFree(namespace, name);
      const latest = new Map<string, IngestFile>();
      // In order of id, hence of time: a file that was put again replaces the earlier one.
      for await (const { objects } of store.list(keys.uploads(namespace, name))) {
        for (const { key } of objects) {
          if (!key.endsWith('/upload.json')) continue;
          const uploaded = await readFact(store, key, uploadRecord);
          if (uploaded === undefined) continue;
          const fileKey = `${key.slice(0, -'upload.json'.length)}files/${uploaded.file}`;
          const info = await store.stat(fileKey);
          if (info === undefined) continue;
          latest.set(uploaded.file, {
            name: uploaded.file,
            bytes: uploaded.bytes,
            sha256: uploaded.sha256,
            version: info.version,
            location: { in: 'store', key: fileKey },
          });
          ingest.requireFiles(latest.size);
        }
      }
      if (latest.size === 0) {
        throw new EmrError('unknown_checkpoint', `No file of ${name} was uploaded: PUT its files first.`, {
          checkpoint: name,
        });
      }
      return commit(namespace, name, [...latest.values()]);
    },
  };
}

/** Whether any of a checkpoint's files lies below the prefix of an upload. */
const isUsedBy = (files: readonly IngestFile[], prefix: string) =>
  files.some(({ location }) => location.key.startsWith(prefix));
