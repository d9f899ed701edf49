import { SyncError } from './error.js';

/*
 * Limits how long calls of the platform may take. A browser may deny a part of the platform, and some calls never
 * answer: for example, opening a database whose upgrade is blocked. A sync then continues without that part.
 *
 * Time is counted in turns of a timer, not by the clock. While the machine sleeps or the tab is frozen there are no
 * turns, and in a slow thread they are slow too.
 */

/** A turn, in milliseconds. */
export const TURN = 1000;

/** Turns after which opening a store is given up. A store opens within milliseconds or never. */
export const OPEN_TURNS = 15;
/**
 * Turns after which other calls are given up: reads, writes, and locks whose holder gives no sign of life. A busy disk
 * of a slow machine may take this long.
 */
export const CALL_TURNS = 30;
/** Turns that an aborted sync has for cleaning up. */
export const CLEANUP_TURNS = 5;
/** Turns for a part that was silent recently, so that a sync that calls it often does not wait each time. */
const RETRY_TURNS = 2;
/** How long "recently" is, in milliseconds. */
export const RECENTLY = 60_000;

/** A part of the platform is denied or does not answer. Callers continue without it. */
export class Unavailable extends SyncError {
  /** Whether it does not answer; otherwise it is denied. */
  readonly isSilent: boolean;

  constructor(message: string, isSilent = false, cause?: unknown) {
    super('store', message, { cause });
    this.isSilent = isSilent;
  }
}

/**
 * Makes a call of a part of the platform, and limits its time. `late` receives an answer that arrives after the limit.
 */
export type Watch = <T>(call: () => Promise<T>, late?: (answer: T) => void) => Promise<T>;

/** When each part was last silent. */
const silences = new Map<string, number>();

/** Watches the calls of one part, whose name errors contain, until the signal aborts them all. */
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

/**
 * Makes a call and waits for it, for a number of turns. Rejects with an {@link Unavailable} if there is no answer or
 * the part is denied.
 */
export async function within<T>(
  turns: number,
  part: string,
  call: () => Promise<T>,
  late?: (answer: T) => void,
  signal?: AbortSignal,
): Promise<T> {
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
    answer.then(
      (value) => waits || late?.(value),
      () => {},
    );
    return await Promise.race([answer, ended]);
  } catch (error) {
    throw isDenial(error) ? new Unavailable(`${part} is denied: ${error.message}`, false, error) : error;
  } finally {
    stop();
  }
}

/**
 * Returns an {@link Unavailable} if the error says that a part of the platform is denied or silent. Calls that return
 * at once are not watched, so their errors are found here.
 */
export function asUnavailable(error: unknown): Unavailable | undefined {
  if (error instanceof Unavailable) return error;
  const cause = error instanceof SyncError ? error.cause : error;
  return isDenial(cause) ? new Unavailable(cause.message, false, cause) : undefined;
}

function isDenial(error: unknown): error is Error {
  return error instanceof Error && ['SecurityError', 'NotAllowedError'].includes(error.name);
}
