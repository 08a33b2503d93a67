import { test } from 'node:test';
import type { OpenedStore, OpenStore } from './store.js';

/** A test with a fresh store, which is cleaned up whatever happens. */
export function testWith(open: OpenStore): (name: string, body: (opened: OpenedStore) => Promise<void>) => void {
  return (name, body) => {
    test(name, async () => {
      const opened = await open();
      try {
        await body(opened);
      } finally {
        await opened.cleanup();
      }
    });
  };
}
