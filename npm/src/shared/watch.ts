import { SyncError } from './error.js';

/*
 * How long the platform may be silent. A browser may deny a part of it, and a part may never answer: a database whose upgrade is blocked, a
 * lock whose holder is frozen. A sync then goes on without that part.
 *
 * Silence is counted in turns of a timer, not by the clock: while a machine sleeps or a tab is frozen no turn passes, and where this
 * thread is slow its turns are too.
 */

/** A turn, in milliseconds. */
export const TURN = 1000;

/** Turns until a store is given up that does not open: it opens within milliseconds, or not at all. */
export const OPEN_TURNS = 15;
/** Turns until a call is given up that reads or writes, and a lock whose holder gives no sign of life: a busy disk of a slow machine may take so long. */
export const CALL_TURNS = 30;
/** Turns that an aborted sync has for tidying up. */
export const CLEANUP_TURNS = 5;
/** Turns for a part that was silent lately, so that a sync that calls it often does not wait for each call. */
const RETRY_TURNS = 2;
/** How long that is, in milliseconds. */
export const RECENTLY = 60_000;

/** A part of the platform is denied, or does not answer: whoever meets this goes on without it. */
export class Unavailable extends SyncError {
  /** Whether it does not answer; else it is denied. */
  readonly isSilent: boolean;

  constructor(message: string, isSilent = false, cause?: unknown) {
    super('store', message, { cause });
    this.isSilent = isSilent;
  }
}

/** Waits for a call of a part of the platform. `late` takes an answer that comes when nobody waits any more. */
export type Watch = <T>(call: () => Promise<T>, late?: (answer: T) => void) => Promise<T>;

/** When each part was last silent. */
const silences = new Map<string, number>();

/** Watches the calls of one part, which errors name, until the signal ends them all. */
export function watching(part: string, signal?: AbortSignal, turns = CALL_TURNS): Watch {
  return async (call, late) => {
    const isLate = performance.now() < (silences.get(part) ?? -RECENTLY) + RECENTLY;
    try {
      return await within(isLate ? RETRY_TURNS : turns, part, call, late, signal);
    } catch (error) {
      if (error instanceof Unavailable && error.isSilent) silences.set(part, performance.now());
      throw error;
    }
  };
}

/** Waits for a call for so many turns. Rejects with an {@link Unavailable} where there is no answer, or the part is denied. */
export async function within<T>(turns: number, part: string, call: () => Promise<T>, late?: (answer: T) => void, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  let left = turns;
  let waits = true;
  let stop = () => {};
  const ended = new Promise<never>((_, reject) => {
    const abandon = () => reject(signal?.reason);
    const timer = setInterval(() => {
      left -= 1;
      if (left === 0) reject(new Unavailable(`${part} did not answer for ${turns} seconds`, true));
    }, TURN);
    signal?.addEventListener('abort', abandon);
    stop = () => {
      waits = false;
      clearInterval(timer);
      signal?.removeEventListener('abort', abandon);
    };
  });
  try {
    const answer = call();
    answer.then((value) => waits || late?.(value), () => {});
    return await Promise.race([answer, ended]);
  } catch (error) {
    throw isDenial(error) ? new Unavailable(`${part} is denied: ${error.message}`, false, error) : error;
  } finally {
    stop();
  }
}

/** What an error says of a part of the platform, if it says that it is denied or silent: calls that return at once are not watched. */
export function asUnavailable(error: unknown): Unavailable | undefined {
  if (error instanceof Unavailable) return error;
  const cause = error instanceof SyncError ? error.cause : error;
  return isDenial(cause) ? new Unavailable(cause.message, false, cause) : undefined;
}

function isDenial(error: unknown): error is Error {
  return error instanceof Error && ['SecurityError', 'NotAllowedError'].includes(error.name);
}
