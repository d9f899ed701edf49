/*
 * The parts of Node's `process` that readable-stream uses, for pages. The usual replacement waits for a timer in each
 * step.
 */

/** Calls when the code that runs now is done. */
export function nextTick(call: (...values: unknown[]) => void, ...values: unknown[]): void {
  queueMicrotask(() => call(...values));
}

/** Read, but without effect. */
export const env = {};
export const stdout = undefined;
export const stderr = undefined;
