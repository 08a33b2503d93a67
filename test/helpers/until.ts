import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until `condition` holds and returns its value. `limitMs` only ends a test that would otherwise hang; nothing is
 * measured by it.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = 60_000,
): Promise<NonNullable<T>> {
  const end = Date.now() + limitMs;
  while (Date.now() < end) {
    const value = await condition();
    if (value) return value as NonNullable<T>;
    await sleep(5);
  }
  throw new Error(`waited ${limitMs} ms in vain until ${what}`);
}
