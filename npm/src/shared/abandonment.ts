import { CLEANUP_TURNS, TURN } from './watch.js';

/** The end of a sync that was aborted and does not end by itself. */
export interface Abandonment {
  /** Aborts what the sync waits for. */
  readonly signal: AbortSignal;
  /** Call it when the sync has ended. */
  end(): void;
  /** Rejects when the sync is abandoned. */
  race<T>(work: Promise<T>): Promise<T>;
}

/** Ends a sync some seconds after its abort, so that a store that hangs does not keep the lock. */
export function abandonment(aborted: AbortSignal): Abandonment {
  const controller = new AbortController();
  const { signal } = controller;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => clearTimeout(timer);
  const abandoned = new Promise<never>((_, reject) => {
    aborted.addEventListener('abort', () => {
      timer = setTimeout(() => {
        controller.abort(aborted.reason);
        reject(aborted.reason);
      }, CLEANUP_TURNS * TURN);
    });
  });
  abandoned.catch(() => {});
  return { signal, end, race: <T>(work: Promise<T>) => Promise.race([work, abandoned]) };
}
