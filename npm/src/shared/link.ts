/** What a request for a delta says of the link; of a usual one it says nothing. See spec/protocol.md, section 8. */
export type Link = (typeof LINKS)[number];

export const LINKS = ['slow', 'usual', 'fast'] as const;

/** The links that are slower are slow, in Mbit/s. */
const SLOW = 6;
/** The links that are faster are fast, in Mbit/s. */
const FAST = 60;
/** Shorter answers tell nothing, in bytes: they come in few bursts. */
const LEAST = 256 << 10;

/** Measures the link by the pieces of answers. */
export interface LinkMeter {
  /** Notes a piece of an answer: its length, when the wait for it began, and when it came, in milliseconds. */
  note(length: number, asked: number, came: number): void;
  /** What the pieces show; undefined if they are too few. */
  readonly link: Link | undefined;
}

export function linkMeter(): LinkMeter {
  let bytes = 0;
  let waited = 0;
  let began: number | undefined;
  let ended = 0;
  return {
    note(length, asked, came) {
      // Before the first piece the server thinks.
      if (began === undefined) {
        began = came;
        return;
      }
      bytes += length;
      waited += came - asked;
      ended = came;
    },
    get link() {
      if (bytes < LEAST || began === undefined) return undefined;
      // Pieces may wait until they are decoded, or come while others are. So the link is at least as fast as by all of the
      // time, and at most as fast as by the waits.
      const kilobits = (8 * bytes) / 1000;
      if (kilobits > FAST * (ended - began)) return 'fast';
      return kilobits < SLOW * waited ? 'slow' : 'usual';
    },
  };
}
