import { isVisible, linked, rejection } from './rest.js';

/** How long a hidden page goes on, in milliseconds. */
const HIDDEN = 300_000;

/**
 * Runs `work` while the page is present: not in the back/forward cache, and not hidden for minutes. Its signal is aborted
 * when the page leaves, and `work` runs again when the page is back. A page that leaves must let go of its connections
 * and locks at once, or it does not get into the back/forward cache. Ends when `work` ends by itself, or when the signal
 * is aborted.
 */
export async function whilePresent(signal: AbortSignal, work: (present: AbortSignal) => Promise<void>): Promise<void> {
  if (!globalThis.document) return work(signal);
  const all = linked(signal);
  let leave = () => {};
  let comeBack = () => {};
  let isAway = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const goAway = () => {
    isAway = true;
    leave();
  };
  const isBack = () => {
    if (!isVisible()) return;
    isAway = false;
    comeBack();
  };
  const changed = () => {
    clearTimeout(timer);
    if (isVisible()) isBack();
    else timer = setTimeout(goAway, HIDDEN);
  };
  const listening = { signal: all.signal };
  addEventListener('pagehide', goAway, listening);
  addEventListener('pageshow', isBack, listening);
  document.addEventListener('visibilitychange', changed, listening);
  try {
    for (;;) {
      const present = linked(all.signal);
      leave = () => present.end();
      try {
        if (!isAway) return await work(present.signal);
      } catch (error) {
        if (!present.signal.aborted) throw error;
      } finally {
        present.end();
      }
      const back = new Promise<void>((resolve) => {
        comeBack = resolve;
      });
      if (isAway) await Promise.race([back, rejection(all.signal)]);
      all.signal.throwIfAborted();
    }
  } finally {
    clearTimeout(timer);
    all.end();
  }
}
