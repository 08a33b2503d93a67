import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { foreignKind, HEAD_BYTES, isDisguised, PICKLE_ADVICE, refuseForeign } from '../checkpoint/foreign.js';
import { EmrError } from '../errors.js';
import { checkFileName } from '../names.js';
import { createFileStore } from '../store/fs.js';
import { hashAll } from '../store/hash.js';
import type { Store } from '../store/types.js';
import type { Ingest, IngestFile } from './ingest.js';
import { keys } from './keys.js';
import type { CheckpointRecord, FileLocation, LeftOut } from './records.js';

export interface RegisterOptions {
  readonly store: Store;
  readonly ingest: Ingest;
  readonly fileRoots: readonly string[];
}

export type Register = (namespace: string, name: string, uri: string) => Promise<CheckpointRecord>;

/** Where the files of a source are: a store, the prefix of their keys in it, and how a record points at one of them. */
interface Source {
  readonly store: Store;
  readonly prefix: string;
  locate(key: string): FileLocation;
}

/** Registers files that lie in the store or below an allowed root; they are hashed once, and then read in place. */
export function createRegister({ store, ingest, fileRoots }: RegisterOptions): Register {
  return async (namespace, name, uri) => {
    await ingest.requireFree(namespace, name);
    const source = await resolveSource(store, fileRoots, namespace, uri);
    const found: string[] = [];
    for await (const { objects } of source.store.list(source.prefix, { delimiter: true })) {
      found.push(...objects.map(({ key }) => key));
      ingest.requireFiles(found.length);
    }
    if (found.length === 0) throw new EmrError('source_not_found', `There are no files at ${uri}.`, { uri });
    const names = found.map((key) => checkFileName(key.slice(source.prefix.length)));
    const files: IngestFile[] = [];
    const leftOut: LeftOut[] = [];
    // Only now: what is refused by its name is not read first.
    for (const [i, key] of found.entries()) {
      const file = await recordFile(source, key, names[i]!);
      if ('reason' in file) leftOut.push(file);
      else files.push(file);
    }
    requireWeights(files, leftOut);
    return ingest.commit(namespace, name, files, { source: uri, leftOut });
  };
}

/**
 * A folder of a training run has pickles beside its weights: optimizer, scheduler, arguments. They stay where they are and
 * are no part of the checkpoint; the record says so. One that has the name of something else is refused.
 */
async function recordFile({ store, locate }: Source, key: string, name: string): Promise<IngestFile | LeftOut> {
  const reader = await store.openReader(key);
  try {
    const { bytes, version } = reader;
    const head = Buffer.alloc(Math.min(HEAD_BYTES, bytes));
    await reader.read(head, 0);
    const reason = foreignKind(name, head);
    if (reason && isDisguised(name)) throw refuseForeign(name, reason);
    if (reason) return { name, reason };
    return { name, bytes, sha256: await hashAll(reader), version, location: locate(key) };
  } finally {
    await reader.close();
  }
}

function requireWeights(files: readonly IngestFile[], leftOut: readonly LeftOut[]): void {
  if (leftOut.length === 0 || files.some(({ name }) => name.endsWith('.safetensors'))) return;
  const detail = `There is no safetensors file, and ${leftOut[0]!.name} is a pickle or an archive. ${PICKLE_ADVICE}`;
  throw new EmrError('checkpoint_empty', detail, { files: leftOut.map(({ name }) => name).slice(0, 100) });
}

async function resolveSource(store: Store, roots: readonly string[], namespace: string, uri: string): Promise<Source> {
  if (uri.startsWith('store:')) {
    const folder = uri.slice('store:'.length).replace(/\/+$/, '');
    // Below these, deleting a checkpoint or a merge would take the registered files away.
    if (folder === '' || keys.isOwn(folder)) {
      throw new EmrError('source_not_allowed', 'Name a folder of the store that the service does not keep itself.', {
        uri,
      });
    }
    return { store, prefix: `${namespace}/${folder}/`, locate: (key) => ({ in: 'store', key }) };
  }
  if (uri.startsWith('file:///')) return resolveFolder(roots, uri);
  throw new EmrError('source_unsupported', 'A source is store:<folder> or file:///<absolute folder>.', { uri });
}

async function resolveFolder(roots: readonly string[], uri: string): Promise<Source> {
  const refused = new EmrError(
    'source_not_allowed',
    'The folder is not below one of the roots that EMR_FILE_ROOTS names (links are resolved first).',
    { uri },
  );
  let wanted: string;
  try {
    wanted = fileURLToPath(uri);
  } catch {
    throw refused;
  }
  for (const configured of roots) {
    const root = await realpath(configured).catch(() => undefined);
    // Links are resolved before the comparison; outside every root, existence is not disclosed either.
    const folder = await realpath(wanted).catch(() => undefined);
    if (root === undefined || folder === undefined) continue;
    const inside = path.relative(root, folder);
    if (inside === '..' || inside.startsWith(`..${path.sep}`) || path.isAbsolute(inside)) continue;
    if (!(await stat(folder)).isDirectory()) continue;
    const prefix = inside === '' ? '' : `${inside.split(path.sep).join('/')}/`;
    return {
      store: createFileStore({ root, readOnly: true }),
      prefix,
      locate: (key) => ({ in: 'root', root, key }),
    };
  }
  throw refused;
}
