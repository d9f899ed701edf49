/** Measures how long a peer has been silent. */
export interface IdleTimer {
  /** Starts the measurement, or restarts it. */
  start(): void;
  /** Stops measuring. */
  stop(): void;
}

/** Calls `onLate` when the peer was silent for `timeout` milliseconds. `Infinity`: never. */
export function idleTimer(timeout: number, onLate: () => void): IdleTimer {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => clearTimeout(timer);
  return {
    start() {
      stop();
      if (timeout < Infinity) timer = setTimeout(onLate, timeout);
    },
    stop,
  };
}
