/*
 * One listener for each signal, however many syncs have it: Node warns of a leak from the eleventh listener on. The listener goes with the
 * last sync.
 */
const listening = new WeakMap<AbortSignal, Set<() => void> & EventListenerObject>();

/** Calls when a signal is aborted, unless the function that this returns is called before. */
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
