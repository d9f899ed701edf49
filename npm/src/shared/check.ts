/** Throws a TypeError that says what a value must be, unless it is that. */
export function check(isRight: boolean, name: string, wanted: string, value: unknown): asserts isRight {
  if (isRight) return;
  const shown = typeof value === 'string' ? JSON.stringify(value) : typeof value === 'number' || value === null ? value : typeof value;
  throw new TypeError(`${name} must be ${wanted}, not ${shown}`);
}

/** The most milliseconds that a timer takes; with more it fires at once. */
const LONGEST = 2 ** 31 - 1;

/** A time to wait in milliseconds, as an option says it; Infinity where it is longer than timers can wait. */
export function checkTimeout(timeout: number): number {
  check(typeof timeout === 'number' && 0 < timeout, 'timeout', 'a number of milliseconds above 0, or Infinity for no limit', timeout);
  return LONGEST < timeout ? Infinity : timeout;
}

/** A limit in bytes, as an option says it. */
export function checkMaxBytes(maxBytes: number): number {
  check(typeof maxBytes === 'number' && 0 <= maxBytes, 'maxBytes', 'a number of bytes from 0 on, or Infinity for no limit', maxBytes);
  return maxBytes;
}
