/**
 * `source` until `signal` aborts; then iteration throws the signal's reason at once, even while the source is silent.
 * The source is told to stop without being waited for: one that hangs would hang its consumer.
 */
export async function* until(source: AsyncIterable<Uint8Array>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!signal) {
    yield* source;
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop);
  });
  aborted.catch(() => {}); // it may reject after the last chunk
  try {
    signal.throwIfAborted();
    for (;;) {
      const result = await Promise.race([iterator.next(), aborted]);
      ended = result.done === true;
      if (result.done) return;
      yield result.value;
    }
  } catch (error) {
    ended = !signal.aborted;
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    if (!ended) iterator.return?.().catch(() => {});
  }
}
