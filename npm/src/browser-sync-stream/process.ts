/*
 * The parts of Node's `process` that readable-stream uses, for pages. The usual replacement waits for a timer in each
 * step.
 */

/** Calls a function after the code that runs now. */
export function nextTick(call: (...values: unknown[]) => void, ...values: unknown[]): void {
  queueMicrotask(() => call(...values));
}

/** readable-stream reads these. They change nothing. */
export const env = {};
export const stdout = undefined;
export const stderr = undefined;
