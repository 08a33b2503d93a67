/**
 * Runs two pieces of work at once. If one fails the other is told to stop and waited for, and the first error goes on:
 * nobody is left writing where the caller cleans up.
 */
export async function together<A, B>(
  signal: AbortSignal,
  first: (signal: AbortSignal) => Promise<A>,
  second: (signal: AbortSignal) => Promise<B>,
): Promise<[A, B]> {
  const failed = new AbortController();
  const stoppable = AbortSignal.any([signal, failed.signal]);
  const guarded = <T>(work: Promise<T>) =>
    work.catch((error: unknown) => {
      failed.abort(error);
      throw error;
    });
  const [a, b] = await Promise.allSettled([guarded(first(stoppable)), guarded(second(stoppable))]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  throw failed.signal.reason;
}
