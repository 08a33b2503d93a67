/**
 * Conflicts, and warnings, of one plan that are told; the others are only counted. Tensors times tasks may be millions,
 * and so many would take the memory of the process. Whoever mends a thousand finds the next ones.
 */
export const MAX_LISTED = 1_000;

/** The first MAX_LISTED of what is added, and how many were added in all. */
export interface Listed<T> {
  readonly items: readonly T[];
  readonly count: number;
}

export interface Listing<T> extends Listed<T> {
  /** `make` is not called for what is only counted. */
  add(make: () => T): void;
  addAll(listed: Listed<T>): void;
}

export function createListing<T>(): Listing<T> {
  const items: T[] = [];
  let count = 0;
  return {
    items,
    get count() {
      return count;
    },
    add(make) {
      count += 1;
      if (items.length < MAX_LISTED) items.push(make());
    },
    addAll(listed) {
      count += listed.count;
      items.push(...listed.items.slice(0, MAX_LISTED - items.length));
    },
  };
}
