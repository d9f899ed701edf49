import { lockIfFree } from '../shared/lock.js';

/*
 * Over HTTP/1.1 a browser opens six connections to an origin, for all its tabs together. Live streams leave most of them
 * free.
 */

/** The most streams to an origin over HTTP/1.1. */
const SLOTS = 2;

/** Runs `work`, which holds a stream, if there is a place for one. Returns whether there was. */
export async function inStreamSlot(url: string, signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
  const { origin } = new URL(url);
  if (isUnlimited(origin)) return work().then(() => true);
  for (let slot = 0; slot < SLOTS; slot += 1) {
    let hasRun = false;
    await lockIfFree(`driblet stream ${origin} ${slot}`, () => {
      hasRun = true;
      return work();
    });
    signal.throwIfAborted();
    if (hasRun) return true;
  }
  return false;
}

/** Whether connections to an origin carry many answers at a time, or are not counted at all, as in Node. */
function isUnlimited(origin: string): boolean {
  if (!globalThis.document) return true;
  const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  return (entries as PerformanceResourceTiming[]).some(
    ({ name, nextHopProtocol }) =>
      /^h[23]/.test(nextHopProtocol) && URL.canParse(name) && new URL(name).origin === origin,
  );
}
