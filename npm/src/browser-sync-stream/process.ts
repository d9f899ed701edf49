/* What readable-stream asks of Node's `process`, for pages: its usual stand-in waits for a timer with every step. */

/** Calls when what runs now is done. */
export function nextTick(call: (...values: unknown[]) => void, ...values: unknown[]): void {
  queueMicrotask(() => call(...values));
}

/** Nothing that decides anything. */
export const env = {};
export const stdout = undefined;
export const stderr = undefined;
