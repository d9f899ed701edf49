import { linked, rejection } from './rest.js';

/*
 * One tab of the browser leads: it holds the live stream and syncs. The others hear of it by a channel. If the leader
 * ends, the browser gives the lock to the next tab. If it holds the lock and does nothing, another tab takes the lock.
 */

/** What a leader says: the version that it synced last, and whether the store has it. */
export interface News {
  readonly version: string;
  readonly isStored: boolean;
}

/** What a tab does. */
export interface Tab {
  /** Runs while this tab leads. `tell` tells the others. */
  lead(signal: AbortSignal, tell: (synced: News) => void): Promise<void>;
  /** Hears what the leader says. */
  onSynced(synced: News): void;
}

/** Messages of a channel. */
type Message = { readonly kind: 'who' } | { readonly kind: 'leads'; readonly synced: News | undefined };

/** How often a leader says that it leads, in milliseconds. */
const SAYS = 10_000;
/** A turn of the timer that notices a silent leader, in milliseconds. */
const TURN = 1_000;
/** Turns after which a silent leader loses the lock. */
const SILENT_TURNS = 45;

/** Whether tabs can choose a leader. */
export function canElect(): boolean {
  return globalThis.navigator?.locks !== undefined && globalThis.BroadcastChannel !== undefined;
}

/** Takes part in the election of a leader, until the signal is aborted or `lead` ends. */
export async function electLeader(name: string, { lead, onSynced }: Tab, signal: AbortSignal): Promise<void> {
  const ended = linked(signal);
  const channel = new BroadcastChannel(name);
  let isLeading = false;
  let synced: News | undefined;
  let silence = 0;
  const say = (message: Message) => channel.postMessage(message);
  const tell = (news: News) => {
    synced = news;
    say({ kind: 'leads', synced });
  };
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.kind === 'who' && isLeading) say({ kind: 'leads', synced });
    if (data.kind !== 'leads' || isLeading) return;
    silence = 0;
    if (data.synced) onSynced(data.synced);
  };

  /** Leads while this tab has the lock. Another tab may take the lock away. */
  async function withLock(options: LockOptions): Promise<'ended' | 'lost'> {
    const leading = linked(ended.signal);
    let failure: { error: unknown } | undefined;
    const held = navigator.locks.request(name, options, async () => {
      if (leading.signal.aborted) return;
      isLeading = true;
      const says = setInterval(() => say({ kind: 'leads', synced }), SAYS);
      try {
        await Promise.race([lead(leading.signal, tell), rejection(leading.signal)]);
      } catch (error) {
        if (!leading.signal.aborted) failure = { error };
      } finally {
        clearInterval(says);
        isLeading = false;
      }
    });
    try {
      await Promise.race([held, rejection(ended.signal)]);
    } catch {
      ended.signal.throwIfAborted();
      return 'lost';
    } finally {
      leading.end();
      held.catch(() => {});
    }
    if (failure) throw failure.error;
    return 'ended';
  }

  let steal = () => {};
  const turns = setInterval(() => {
    if (isLeading) silence = 0;
    else if (SILENT_TURNS <= (silence += 1)) steal();
  }, TURN);
  try {
    say({ kind: 'who' });
    for (let steals = false; ; ) {
      const waiting = linked(ended.signal);
      silence = 0;
      steal = () => waiting.abort();
      const turn = steals ? withLock({ steal: true }) : withLock({ signal: waiting.signal });
      const result = await turn.finally(() => waiting.end());
      if (result === 'ended') return;
      steals = !isLeading && SILENT_TURNS <= silence;
    }
  } finally {
    clearInterval(turns);
    ended.end();
    channel.close();
  }
}
