// Limits for waits, so that a test that waits in vain says what it waited for.
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';

/** The limit of a wait in milliseconds: some hundred times what a slow machine needs. */
const LIMIT = 120_000;

/** Waits for an event. Rejects after two minutes, with a message that names the event. */
export async function expected(event, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`in ${LIMIT / 1000} seconds this did not happen: ${what}`)), LIMIT);
  });
  try {
    return await Promise.race([event, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks until something is so. Rejects after two minutes. */
export async function eventually(isSo, what = String(isSo)) {
  for (const end = Date.now() + LIMIT; !(await isSo()); await setTimeoutPromise(20)) {
    if (end < Date.now()) throw new Error(`in ${LIMIT / 1000} seconds this was never so: ${what}`);
  }
}
