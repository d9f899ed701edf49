/** Rejects with the signal's reason as soon as it is aborted, also while nothing else happens. */
export function rejection(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  return aborted;
}

/** A controller that is also aborted with a signal. `end` aborts it and stops listening. */
export function linked(signal: AbortSignal): AbortController & { end(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  const end = () => {
    signal.removeEventListener('abort', abort);
    controller.abort();
  };
  return Object.assign(controller, { end });
}

/**
 * Waits for some milliseconds; with `wakes`, no longer than until the network is back or the page becomes visible.
 * Rejects when the signal is aborted.
 */
export async function rest(milliseconds: number, signal: AbortSignal, wakes = false): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wake = () => {};
  const seen = () => isVisible() && wake();
  const stop = linked(signal);
  try {
    const over = new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    if (wakes) {
      globalThis.addEventListener?.('online', wake);
      globalThis.document?.addEventListener('visibilitychange', seen);
    }
    await Promise.race([over, rejection(stop.signal)]);
  } finally {
    clearTimeout(timer);
    globalThis.removeEventListener?.('online', wake);
    globalThis.document?.removeEventListener('visibilitychange', seen);
    stop.end();
  }
}

/** Whether somebody may see the page. Threads without a page are always seen. */
export function isVisible(): boolean {
  return globalThis.document?.visibilityState !== 'hidden';
}
