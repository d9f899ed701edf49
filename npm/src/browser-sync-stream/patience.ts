/** A clock that runs while a peer is waited for. */
export interface Patience {
  /** The peer's time begins anew. */
  wait(): void;
  /** Nobody waits. */
  stop(): void;
}

/** Calls `onLate` when the peer was waited for that long, in milliseconds; never after Infinity. */
export function patienceOf(timeout: number, onLate: () => void): Patience {
  let clock: ReturnType<typeof setTimeout> | undefined;
  const stop = () => clearTimeout(clock);
  return {
    wait() {
      stop();
      if (timeout < Infinity) clock = setTimeout(onLate, timeout);
    },
    stop,
  };
}
