import { readdirSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

const PRIORITY = constants.priority.PRIORITY_BELOW_NORMAL;

/**
 * Lets an API on the same machine go first: a worker takes all the cores that it gets, for minutes. On Linux a priority is a
 * thread's own: those that Node has started already, for files and for garbage collection, are told one by one, and later
 * ones inherit it.
 */
export function lowerProcess(): void {
  lower(0);
  if (process.platform === 'linux') for (const thread of readdirSync('/proc/self/task')) lower(Number(thread));
}

/** 0: the caller. */
function lower(thread: number): void {
  try {
    // Who was started lower still must not go up, which the system would refuse.
    if (getPriority(thread) < PRIORITY) setPriority(thread, PRIORITY);
  } catch {
    // A thread that has ended since it was listed.
  }
}
