/** The service without HTTP, for tests that go below it. */
import type { CheckpointRecord } from '../../src/catalog/records.js';
import { readConfig } from '../../src/config.js';
import { type MergeRequest, mergeRequest } from '../../src/merge/request.js';
import { createServices, type Services } from '../../src/services.js';
import type { StoreConfig } from '../../src/store/types.js';
import { chunks } from './stores.js';

export const NAMESPACE = 'default';

export async function withServices(store: StoreConfig, body: (services: Services) => Promise<void>): Promise<void> {
  const config = { ...readConfig({ LOG_LEVEL: 'silent' }), store };
  const services = await createServices(config, { info: () => {}, warn: () => {} });
  try {
    await body(services);
  } finally {
    await services.close();
  }
}

export async function addCheckpoint(
  { uploads }: Services,
  name: string,
  files: Iterable<readonly [string, Uint8Array]>,
): Promise<CheckpointRecord> {
  const upload = await uploads.begin(NAMESPACE, name);
  for (const [file, bytes] of files) await upload.add(file, chunks(bytes, 2 ** 20));
  return upload.commit();
}

/** A request with the schema's defaults filled in. */
export function requestOf(request: object): MergeRequest {
  return mergeRequest.parse(request);
}
