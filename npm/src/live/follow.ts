import { SyncError } from '../shared/error.js';
import { now } from '../shared/clock.js';
import { backOff } from './backOff.js';
import { APART, followed } from './followed.js';
import { rest } from './rest.js';
import { inStreamSlot } from './slots.js';
import { askHead, readStream } from './stream.js';
import type { LiveHead } from './head.js';
import type { Requests } from './requests.js';
import type { StreamEnd } from './stream.js';

/** The pause between two polls, in milliseconds; a quarter more or less, so that pages do not poll at the same time. */
const POLL = 5_000;
/** How long it is polled after a stream failed before its first event, in milliseconds. It doubles each time. */
const FAILED = 5_000;
const MAX_FAILED = 60_000;
/** The same for a stream that something between here and the server held back. */
const HELD_BACK = 60_000;
const MAX_HELD_BACK = 600_000;

/** A stream that lasted so many milliseconds was no failure. Shorter ones are cut by something in between. */
const LASTING = 10_000;

/**
 * Follows the heads of an asset until the signal is aborted, and calls `onHead` with each one that is to be followed. It
 * reads a live stream, and polls where that is not possible. Rejects with a {@link SyncError} if the server refuses the
 * credentials.
 */
export async function follow(
  requests: Requests,
  onHead: (head: LiveHead) => void,
  signal: AbortSignal,
  mayStream = true,
  held?: string,
): Promise<never> {
  const follows = followed(held);
  const pauses = backOff();
  let retry: number | undefined;
  let pollsUntil = mayStream ? -Infinity : Infinity;
  let failed = FAILED;
  let heldBack = HELD_BACK;
  let hasHeard = false;
  /** The last head that the stream told, which an `alive` event tells again. */
  let told: LiveHead | undefined;
  let isAsking = false;
  let refuse = (_: unknown) => {};
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  refused.catch(() => {});

  function answer(head: LiveHead): void {
    const verdict = follows.answer(head, now());
    if (verdict === 'follow') onHead(head);
    if (verdict === 'doubt') void askAgain(APART);
  }

  async function ask(): Promise<void> {
    const head = await askHead(requests, signal);
    if (!head) throw new Error('the answer names no head');
    answer(head);
  }

  /** Asks for the head later, beside the stream. If it fails, the stream goes on. */
  async function askAgain(wait: number): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    try {
      await rest(wait, signal);
      await ask();
    } catch (error) {
      if (error instanceof SyncError) refuse(error);
    } finally {
      isAsking = false;
    }
  }

  const listener = {
    onHead(head: LiveHead) {
      hasHeard = true;
      told = head;
      answer(head);
    },
    onAlive(id: string) {
      hasHeard = true;
      const { epoch, counter } = follows.head ?? {};
      if (id === `${told?.epoch}.${told?.counter}`) answer(told!);
      else if (id !== '' && id !== `${epoch}.${counter}`) void askAgain(0);
    },
    onRetry(milliseconds: number) {
      retry = milliseconds;
    },
  };

  /** Reads a stream to its end. If it told nothing, polls for a while. */
  async function stream(): Promise<void> {
    const { head } = follows;
    told = undefined;
    hasHeard = false;
    const since = head && `${head.epoch}.${head.counter}`;
    const began = now();
    const reading = readStream(requests, since, listener, signal).catch((error): StreamEnd => {
      signal.throwIfAborted();
      if (error instanceof SyncError) throw error;
      return { kind: 'ended' };
    });
    const end = await Promise.race([reading, refused]);
    if (end.kind === 'busy') pollsUntil = now() + end.wait;
    if (end.kind === 'held-back') {
      pollsUntil = now() + heldBack;
      heldBack = Math.min(2 * heldBack, MAX_HELD_BACK);
    }
    if (end.kind === 'ended' && !hasHeard) {
      pollsUntil = now() + failed;
      failed = Math.min(2 * failed, MAX_FAILED);
    }
    if (!hasHeard) return;
    [failed, heldBack] = [FAILED, HELD_BACK];
    if (began + LASTING <= now()) pauses.reset();
    await rest(pauses.next(retry), signal, true);
  }

  for (;;) {
    try {
      const hasStreamed = pollsUntil <= now() && (await inStreamSlot(requests.url, signal, stream));
      if (hasStreamed && hasHeard) continue;
      await ask();
      pauses.reset();
      await rest(POLL * (0.75 + Math.random() / 2), signal, true);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SyncError) throw error;
      await rest(pauses.next(retry), signal, true);
    }
  }
}
