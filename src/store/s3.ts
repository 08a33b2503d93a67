import { EmrError } from '../errors.js';
import type { Store, StoreConfig } from './types.js';

export function createS3Store(_config: StoreConfig & { kind: 's3' }): Store {
  throw new EmrError('source_unsupported', 'The S3 store is not there yet.');
}
