import { now } from './clock.js';
import { OPEN_TURNS, RECENTLY, watching } from './watch.js';
import type { Unavailable, Watch } from './watch.js';

/** A place for a store. */
export interface PlaceOf<Open> {
  /** What errors call it. */
  readonly part: string;
  readonly open: Open;
}

/** Places that opened and were then denied, or that were silent recently. */
const failing = new Map<string, { failed: Unavailable; until: number }>();

/**
 * Opens the first place that works. Call `next` again with the reason for a failure, and it opens the next place;
 * undefined if there is none left. `reasons` says why.
 */
export function places<Open, Opened>(
  all: readonly PlaceOf<Open>[],
  name: string,
  noStore: string | undefined,
  signal: AbortSignal | undefined,
  opened: (open: Open, watch: Watch) => Promise<Opened>,
) {
  const left = noStore === undefined ? [...all] : [];
  const reasons = noStore === undefined ? [] : [noStore];
  let last = '';
  async function next(failed?: Unavailable): Promise<Opened | undefined> {
    if (failed) {
      reasons.push(failed.message);
      failing.set(last, { failed, until: failed.isSilent ? now() + RECENTLY : Infinity });
    }
    for (let place = left.shift(); place; place = left.shift()) {
      const { part, open } = place;
      last = `${part} ${name}`;
      try {
        const known = failing.get(last);
        if (known && now() < known.until) throw known.failed;
        return await watching(part, signal, OPEN_TURNS)(() => opened(open, watching(part, signal)));
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    }
    return undefined;
  }
  return { next, reasons };
}
