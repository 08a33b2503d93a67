/**
 * Who goes first where a machine has more to do than cores: whoever answers requests, then whoever keeps merges going, then
 * whoever computes them, for minutes and on all the cores that are left. On Linux a priority is a thread's own; elsewhere it
 * is the process's.
 */
import { readdirSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;
const isLinux = process.platform === 'linux';

/** Lowers this thread, one that computes. Elsewhere than on Linux it would lower the server around it, and does nothing. */
export function lowerThread(): void {
  if (isLinux) lower(0, PRIORITY_LOW);
}

/**
 * Lowers a process that only merges. Its main thread stays before the others, which Node has started already, for files and
 * for garbage collection: it renews the locks of its merges.
 */
export function lowerProcess(): void {
  lower(0, PRIORITY_BELOW_NORMAL);
  if (!isLinux) return;
  for (const thread of readdirSync('/proc/self/task').map(Number)) {
    if (thread !== process.pid) lower(thread, PRIORITY_LOW);
  }
}

/** Of the caller: 0. */
function lower(thread: number, priority: number): void {
  try {
    // Who was started lower still must not go up, which the system would refuse.
    if (getPriority(thread) < priority) setPriority(thread, priority);
  } catch {
    // A thread that has ended since it was listed.
  }
}
