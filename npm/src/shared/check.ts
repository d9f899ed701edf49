/** Throws a TypeError that says what a value must be, unless `isRight`. */
export function check(isRight: boolean, name: string, wanted: string, value: unknown): asserts isRight {
  if (isRight) return;
  const shown =
    typeof value === 'string'
      ? JSON.stringify(value)
      : typeof value === 'number' || value === null
        ? value
        : typeof value;
  throw new TypeError(`${name} must be ${wanted}, not ${shown}`);
}

/** The longest delay of a timer, in milliseconds. A timer with a longer delay fires at once. */
const MAX_TIMER = 2 ** 31 - 1;

/** Checks a time limit in milliseconds. Returns Infinity if it is longer than a timer can wait. */
export function checkTimeout(timeout: number, name = 'timeout'): number {
  check(
    typeof timeout === 'number' && 0 < timeout,
    name,
    'a number of milliseconds above 0, or Infinity for no limit',
    timeout,
  );
  return MAX_TIMER < timeout ? Infinity : timeout;
}

/** Checks a limit in bytes. */
export function checkMaxBytes(maxBytes: number): number {
  check(
    typeof maxBytes === 'number' && 0 <= maxBytes,
    'maxBytes',
    'a number of bytes from 0 on, or Infinity for no limit',
    maxBytes,
  );
  return maxBytes;
}
