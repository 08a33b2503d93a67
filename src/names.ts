import { EmrError } from './errors.js';

export const MAX_NAME = 96;
/** Names of checkpoints, merges and tasks. They are path segments and object keys, hence nothing that needs escaping. */
export const NAME_PATTERN = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${MAX_NAME - 1}}$`);

/** Ids of merges; a merge's name may not look like one, so that `GET /v1/merges/{id or name}` is unambiguous. */
export const MERGE_ID_PATTERN = /^[0-9a-f]{32}$/;
export const NO_MERGE_ID_PATTERN = /^(?![0-9a-f]{32}$)/;

/** Namespaces are the first segments of keys in the store, beside what no namespace owns: that begins with `_`. */
export const NAMESPACE_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Where everybody works whose key says nothing else. */
export const DEFAULT_NAMESPACE = 'default';

export const MAX_FILE_NAME = 200;
/**
 * File names of a checkpoint folder: plain base names; file systems and S3 agree on these characters. Not those that mean
 * a folder, nor those of unfinished files.
 */
export const FILE_NAME_PATTERN = new RegExp(
  `^(?!\\.{1,2}$|\\.tmp-)[A-Za-z0-9._@+-][A-Za-z0-9._@+ ()=,-]{0,${MAX_FILE_NAME - 1}}$`,
);

export function checkFileName(name: string | undefined): string {
  if (name === undefined || !FILE_NAME_PATTERN.test(name)) {
    throw new EmrError(
      'invalid_name',
      `A file name is a plain base name of at most ${MAX_FILE_NAME} letters, digits and ._@+-()=, characters, without a folder.`,
      name === undefined ? {} : { file: name.slice(0, MAX_FILE_NAME) },
    );
  }
  return name;
}
