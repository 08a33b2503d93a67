import type { Store } from '../../src/store/types.js';

/** A step of writing an object, before it is taken (`created`: after). What a hook throws, the caller of the store gets. */
export interface WriteStep {
  readonly op: 'open' | 'write' | 'save' | 'finish' | 'create' | 'created';
  readonly key: string;
  /** What `create` was given. */
  readonly bytes?: Uint8Array;
}

/** The same store, with a say before every step of writing: for faults that come when a test wants them. */
export function hookedStore(store: Store, hook: (step: WriteStep) => void | Promise<void>): Store {
  return {
    ...store,
    async create(key, bytes) {
      await hook({ op: 'create', key, bytes });
      const created = await store.create(key, bytes);
      await hook({ op: 'created', key });
      return created;
    },
    async openWriter(key, bytes) {
      await hook({ op: 'open', key });
      const writer = await store.openWriter(key, bytes);
      return {
        save(saved, signal) {
          // What is saved is what was written when it is called.
          const saving = writer.save(saved, signal);
          return Promise.all([saving, hook({ op: 'save', key })]).then(([fronts]) => fronts);
        },
        async write(chunk) {
          await hook({ op: 'write', key });
          await writer.write(chunk);
        },
        async finish() {
          await hook({ op: 'finish', key });
          return writer.finish();
        },
        abort: () => writer.abort(),
      };
    },
  };
}
