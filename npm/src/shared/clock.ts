/** Milliseconds since 1970, by a clock that never jumps and that all threads share. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
