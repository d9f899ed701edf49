import { CLEANUP_TURNS, TURN } from './watch.js';

/** Ends a sync some seconds after its abort, so that a store that hangs does not keep the lock. */
export function abandonment(aborted: AbortSignal) {
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
