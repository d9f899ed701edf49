/*
 * Adds one listener to each signal, however many syncs use it: Node warns of a leak from the eleventh listener on. The
 * listener is removed with the last sync.
 */
const listening = new WeakMap<AbortSignal, Set<() => void> & EventListenerObject>();

/** Calls `call` when the signal is aborted. Returns a function that cancels this. */
export function onAbort(signal: AbortSignal | undefined, call: () => void): () => void {
  if (!signal) return () => {};
  let calls = listening.get(signal);
  if (!calls) {
    const all = new Set<() => void>();
    calls = Object.assign(all, { handleEvent: () => all.forEach((each) => each()) });
    listening.set(signal, calls);
    signal.addEventListener('abort', calls);
  }
  calls.add(call);
  return () => {
    calls.delete(call);
    if (0 < calls.size) return;
    signal.removeEventListener('abort', calls);
    if (listening.get(signal) === calls) listening.delete(signal);
  };
}
