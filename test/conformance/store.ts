import { describe } from 'node:test';
import type { Store } from '../../src/store/types.js';
import { keyCases } from './store-keys.js';
import { listingCases } from './store-listing.js';
import { readingCases } from './store-reading.js';
import { savingCases } from './store-saving.js';
import { writingCases } from './store-writing.js';

export interface OpenedStore {
  /** Empty, and nobody else's. */
  readonly store: Store;
  /** Names of whatever lies in the store and is no object: temporary files, unfinished uploads, empty folders. */
  readonly leftovers: () => Promise<string[]>;
  /** Resolves when each unfinished writer's first part, if it has one, has arrived. */
  readonly arrived?: () => Promise<void>;
  readonly cleanup: () => Promise<void>;
}

export type OpenStore = () => Promise<OpenedStore>;

/** What src/store/types.ts promises, as tests; every implementation runs all of them. */
export function storeConformance(name: string, open: OpenStore): void {
  describe(`store: ${name}`, () => {
    describe('keys', () => keyCases(open));
    describe('writing', () => writingCases(open));
    describe('saving', () => savingCases(open));
    describe('reading', () => readingCases(open));
    describe('listing and deleting', () => listingCases(open));
  });
}
