/** The longest pause after failures, in milliseconds, unless the server asked for more. */
const MAX = 8_000;
/** The pause after the first failure is a random part of this. */
const FIRST = 1_000;

/** The longest pause that a server may ask for, in milliseconds. A timer with a much longer one fires at once. */
const MAX_RETRY = 600_000;

/** How long to wait before the next try. */
export interface BackOff {
  /** Milliseconds until the next try. `retry` is what the server asked for. */
  next(retry: number | undefined): number;
  /** Notes that a try succeeded. */
  reset(): void;
}

/** Pauses that grow with each failure, by "full jitter": each is a random part of the longest one. */
export function backOff(random: () => number = Math.random): BackOff {
  let failures = 0;
  return {
    next(given) {
      const retry = given === undefined ? undefined : Math.min(given, MAX_RETRY);
      failures += 1;
      // The server gave each receiver another time already.
      if (failures === 1) return retry ?? random() * FIRST;
      const asked = 2 * (retry ?? 0);
      const longest = Math.max(FIRST, asked) * 2 ** Math.min(failures - 2, 16);
      return random() * Math.min(longest, Math.max(MAX, asked));
    },
    reset() {
      failures = 0;
    },
  };
}
