/**
 * One look at a time for each key, whose result everybody gets who was waiting when it began. Nobody gets a result that is
 * older than his own question, so that who has changed something sees it changed.
 *
 * Hundreds of clients that ask for the same merge then cost no more than one that asks again and again.
 */
export function createSharedLooks<T>(): (key: string, look: () => Promise<T>) => Promise<T> {
  interface Looks {
    current: Promise<T>;
    next: Promise<T> | undefined;
  }
  const all = new Map<string, Looks>();

  return (key, look) => {
    const looks = all.get(key);
    if (looks !== undefined) {
      looks.next ??= looks.current.then(
        () => begin(key, look),
        () => begin(key, look),
      );
      return looks.next;
    }
    return begin(key, look);
  };

  function begin(key: string, look: () => Promise<T>): Promise<T> {
    const looks: Looks = { current: look(), next: undefined };
    all.set(key, looks);
    const end = () => {
      // Who waits for the next look has put it there; it begins in this moment, and replaces this one.
      if (looks.next === undefined) all.delete(key);
    };
    looks.current.then(end, end);
    return looks.current;
  }
}
