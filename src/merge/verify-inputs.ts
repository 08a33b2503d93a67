import { createHash } from 'node:crypto';
import type { CheckpointFile, CheckpointRecord } from '../catalog/records.js';
import type { Sources } from '../catalog/sources.js';
import { EmrError } from '../errors.js';
import { hashAll } from '../store/hash.js';
import type { MergePlan } from './plan.js';

export const VERIFY_MODES = ['off', 'sampled', 'full'] as const;
export type VerifyMode = (typeof VERIFY_MODES)[number];

/** `sampled` hashes every file up to this: configurations, tokenizers, small models, in well under a second each. */
export const SMALL_FILE_BYTES = 16 * 2 ** 20;

/** What was hashed when it came, so short a time ago, is not drawn: stores lose bytes over months. */
export const FRESH_MS = 24 * 60 * 60_000;

export interface InputFile {
  readonly checkpoint: string;
  readonly file: CheckpointFile;
}

/**
 * Which files of a merge's inputs are hashed. A merge reads them in ranges and in no order, so hashing costs reading them
 * once more. `sampled`: all small files, and of the large ones that are not fresh one, drawn by `seed`; so a merge pays
 * for one shard at most, and a store that loses bytes is noticed after some merges. `full`: every file.
 */
export function filesToVerify(
  { base, tasks }: Pick<MergePlan, 'base' | 'tasks'>,
  { mode, seed, now }: { readonly mode: VerifyMode; readonly seed: string; readonly now: number },
): InputFile[] {
  if (mode === 'off') return [];
  const records = inputRecords({ base, tasks });
  const all = [...new Map(records.map((record) => [record.name, record])).values()].flatMap(
    ({ name, files, created_at }) => {
      const isFresh = now - Date.parse(created_at) < FRESH_MS;
      return files.map((file) => ({ checkpoint: name, file, isFresh }));
    },
  );
  if (mode === 'full') return all;
  const large = all.filter(({ file, isFresh }) => file.bytes > SMALL_FILE_BYTES && !isFresh);
  const drawn = createHash('sha256').update(seed).digest().readUIntBE(0, 6) % Math.max(1, large.length);
  return all.filter((one) => one.file.bytes <= SMALL_FILE_BYTES || one === large[drawn]);
}

/** The checkpoints that a merge reads, its statistics among them; one may come twice. */
export function inputRecords({ base, tasks }: Pick<MergePlan, 'base' | 'tasks'>): readonly CheckpointRecord[] {
  return [base, ...tasks.flatMap(({ record, statistics }) => (statistics ? [record, statistics] : [record]))];
}

/** Hashes files one after another; `checkpoint_corrupt` names the first that is not what was recorded. */
export async function verifyInputs(sources: Sources, files: readonly InputFile[], signal: AbortSignal): Promise<void> {
  for (const { checkpoint, file } of files) {
    const reader = await sources.open(file);
    const sha256 = await hashAll(reader, signal).finally(() => reader.close());
    if (sha256 === file.sha256) continue;
    throw new EmrError(
      'checkpoint_corrupt',
      `${file.name} of checkpoint ${checkpoint} has not the bytes that were recorded: delete it and bring it again.`,
      { checkpoint, file: file.name, expected: file.sha256, found: sha256 },
    );
  }
}
