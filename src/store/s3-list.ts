import { type _Object, ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { isKey } from './keys.js';
import type { Bucket } from './s3-client.js';
import { coded } from './s3-errors.js';
import type { ListPage, ObjectInfo } from './types.js';

/** Keys that others put there and that no store call could name (such as a console's `folder/`) are left out. */
function infoOf(bucket: Bucket, object: _Object): ObjectInfo[] {
  const key = bucket.strip(object.Key ?? '');
  if (!isKey(key)) return [];
  return [{ key, bytes: object.Size ?? 0, version: object.ETag ?? '', modified: object.LastModified ?? new Date(0) }];
}

/** Pages of the objects below `prefix`, as S3 gives them: up to 1,000 at a time, in byte order of key. */
export async function* listObjects(bucket: Bucket, prefix: string, delimiter: boolean): AsyncGenerator<ListPage> {
  const request = { Bucket: bucket.name, Prefix: bucket.key(prefix), ...(delimiter ? { Delimiter: '/' } : {}) };
  let token: string | undefined;
  do {
    const command = new ListObjectsV2Command({ ...request, ...(token ? { ContinuationToken: token } : {}) });
    const output: ListObjectsV2CommandOutput = await coded(prefix, () => bucket.client.send(command));
    const objects = (output.Contents ?? []).flatMap((object) => infoOf(bucket, object));
    const prefixes = (output.CommonPrefixes ?? []).map((common) => bucket.strip(common.Prefix ?? ''));
    if (objects.length + prefixes.length > 0) yield { objects, prefixes };
    token = output.IsTruncated ? output.NextContinuationToken : undefined;
  } while (token !== undefined);
}
