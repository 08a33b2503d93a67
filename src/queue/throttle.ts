/** Calls `send` with the latest value at most once per `intervalMs`: the first at once, the last one surely. */
export function throttle<T>(send: (value: T) => void, intervalMs: number): { push(value: T): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  let pending: { value: T } | undefined;
  let stopped = false;

  function flush(): void {
    timer = undefined;
    if (!pending) return;
    const { value } = pending;
    pending = undefined;
    timer = setTimeout(flush, intervalMs);
    send(value);
  }

  return {
    push(value) {
      if (stopped) return;
      pending = { value };
      if (!timer) flush();
    },
    /** Drops what was not sent, and all that comes later. */
    stop() {
      stopped = true;
      clearTimeout(timer);
      pending = undefined;
    },
  };
}
