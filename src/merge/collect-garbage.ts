import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Collects the garbage of this thread now. V8 collects when a thread allocates: one that has nothing to do keeps what it
 * left behind, and over S3 that is tens of megabytes.
 */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc'); // `gc` is in contexts made from here on
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
