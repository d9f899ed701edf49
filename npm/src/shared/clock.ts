/** Milliseconds since 1970, by a clock that does not jump and that all threads share. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
