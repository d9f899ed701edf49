import type { LiveHead } from './head.js';

/*
 * Which head to follow. Behind a balancer, an old and a new server may answer in turn while one replaces the other: a
 * receiver must not go back and forth, and must not stay at a version that was rolled back.
 */

/** How long a version that was left is remembered, in milliseconds. */
const REMEMBERED = 60_000;
/** How far apart two doubtful answers are that are followed, in milliseconds. */
export const APART = 10_000;

/** What to do with an answer. A doubtful one is followed if a later answer says the same. */
export type Verdict = 'follow' | 'same' | 'doubt';

/** The members of a head that tell whether it is followed. */
export type Answered = Pick<LiveHead, 'epoch' | 'counter' | 'version'>;

/** The head that is followed. */
export interface Followed {
  readonly head: Answered | undefined;
  /** What to do with an answer of this moment. */
  answer(head: Answered, at: number): Verdict;
}

/** `held` is the version that the receiver has before the first answer, if it has one. */
export function followed(held?: string): Followed {
  let current: Answered | undefined;
  let doubt: { version: string; at: number } | undefined;
  const left = new Map<string, number>();

  function judge({ epoch, counter, version }: Answered, at: number): Verdict {
    if (!current) return 'follow';
    if (version === current.version) return 'same';
    const isClear =
      epoch === current.epoch ? current.counter < counter : (left.get(version) ?? -Infinity) + REMEMBERED <= at;
    if (isClear) return 'follow';
    if (doubt?.version === version) return doubt.at + APART <= at ? 'follow' : 'doubt';
    doubt = { version, at };
    return 'doubt';
  }

  return {
    get head() {
      return current;
    },
    answer(head, at) {
      const verdict = judge(head, at);
      if (verdict === 'doubt') return verdict;
      const before = current?.version ?? held;
      if (verdict === 'follow' && before !== undefined && before !== head.version) left.set(before, at);
      for (const [version, since] of left) if (since + REMEMBERED <= at) left.delete(version);
      [current, doubt] = [head, undefined];
      return verdict;
    },
  };
}
