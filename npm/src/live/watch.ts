import { SyncError } from '../shared/error.js';
import { backOff } from './backOff.js';
import { follow } from './follow.js';
import { deltaBytes } from './head.js';
import { canElect, electLeader } from './leader.js';
import { whilePresent } from './presence.js';
import { requestsOf } from './requests.js';
import { linked, rest } from './rest.js';
import { askHead } from './stream.js';
import type { LiveHead } from './head.js';
import type { News } from './leader.js';
import type { LiveTarget } from './requests.js';
import type { Prefetched } from '../shared/messages.js';

/*
 * Yields the versions of an asset. The leader syncs each new head; the other tabs open what it stored. Each tab keeps
 * only the newest version for a consumer that is slow.
 */

/** A version that is read by a handle. */
export interface Version {
  readonly version: string;
  readonly stored: Promise<boolean>;
  close(): void;
}

/** What is watched, and how it is synced. */
export interface Watched<H extends Version> extends LiveTarget {
  /** Names the asset, the store, and with which credentials it is asked for. Undefined if tabs do not share the store. */
  readonly shared: string | undefined;
  /** Syncs to a version, or to the head. `given` is the answer to the first request, if it is known. */
  sync(options: SyncAttempt): Promise<H>;
  /** Opens the stored version, without a request. */
  openStored(signal: AbortSignal): Promise<H>;
}

/** How a version is synced. */
export interface SyncAttempt {
  readonly headers: [string, string][];
  readonly signal: AbortSignal;
  readonly version?: string | undefined;
  readonly given?: Prefetched | undefined;
}

/** How often a sync is tried that fails for another reason than the network. */
const TRIES = 5;

/** Yields the newest version, and then each newer one. */
export async function* watchVersions<H extends Version>(
  watched: Watched<H>,
  signal?: AbortSignal,
): AsyncGenerator<H, void, void> {
  const stop = linked(signal ?? new AbortController().signal);
  const requests = requestsOf(watched);
  /** The newest version that this tab synced and nobody took. */
  let ready: H | undefined;
  /** What the leader synced, if this tab did not. */
  let news: News | undefined;
  let wake = () => {};
  let failed: { readonly error: unknown } | undefined;
  stop.signal.addEventListener('abort', () => wake());

  /** The version that was synced or opened last. */
  let newest: H;
  try {
    newest = await syncFirst();
    let last = newest.version;
    yield newest;
    run().catch((error) => {
      failed = { error };
      wake();
    });
    for (;;) {
      stop.signal.throwIfAborted();
      if (failed) throw failed.error;
      const told = news;
      news = undefined;
      if (!ready && (told === undefined || told.version === last)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const next = ready ?? (newest = await opened(told!));
      ready = undefined;
      if (next.version === last) {
        next.close();
        continue;
      }
      last = next.version;
      yield next;
    }
  } finally {
    stop.end();
    ready?.close();
  }

  /** The first sync rejects as any other does. A server that refuses the headers is asked with new ones. */
  async function syncFirst(): Promise<H> {
    try {
      return await watched.sync({ headers: requests.headers, signal: stop.signal });
    } catch (error) {
      if (!watched.renewHeaders || stop.signal.aborted) throw error;
      const before = requests.headers;
      await checkHeaders(stop.signal);
      if (requests.headers === before) throw error;
      return watched.sync({ headers: requests.headers, signal: stop.signal });
    }
  }

  /** Takes part until the signal is aborted. */
  function run(): Promise<void> {
    return whilePresent(stop.signal, async (present) => {
      if (watched.shared === undefined || !canElect()) {
        const mayStream = watched.shared === undefined || !globalThis.document;
        return lead(present, () => {}, mayStream);
      }
      return electLeader(
        `driblet live ${watched.shared}`,
        {
          lead,
          onSynced(synced) {
            news = synced;
            wake();
          },
        },
        present,
      );
    });
  }

  /** Syncs each new head. */
  async function lead(present: AbortSignal, tell: (synced: News) => void, mayStream = true): Promise<void> {
    let wanted: LiveHead | undefined;
    let isSyncing = false;
    /** Whether no delta may have been cut off: the last sync succeeded. */
    let isComplete = false;
    const failedHere = failure();
    const tellOf = ({ version, stored }: Version) =>
      stored.then((isStored) => version === newest.version && !present.aborted && tell({ version, isStored }));
    void tellOf(newest);

    async function syncWanted(): Promise<void> {
      isSyncing = true;
      try {
        const pauses = backOff();
        for (let tries = 1; wanted && wanted.version !== newest.version; ) {
          const head: LiveHead = wanted;
          // A delta that was cut off is finished first. At last any version is taken: the server may have forgotten this.
          const version = isComplete && tries < TRIES ? head.version : undefined;
          const given = head.from === newest.version ? givenBy(head, version) : undefined;
          if (!given && head.spread) await rest(Math.random() * head.spread, present);
          if (wanted !== head) continue;
          try {
            const synced = await watched.sync({ headers: requests.headers, signal: present, version, given });
            ready?.close();
            ready = newest = synced;
            wake();
            void tellOf(synced);
            isComplete = true;
            if (wanted === head && (synced.version === head.version || TRIES <= (tries += 1))) wanted = undefined;
          } catch (error) {
            present.throwIfAborted();
            isComplete = false;
            const passes = error instanceof SyncError && error.code === 'network';
            if (!passes && TRIES <= (tries += 1)) throw error;
            await rest(pauses.next(undefined), present, true);
            await checkHeaders(present);
          }
        }
      } finally {
        isSyncing = false;
      }
    }

    const onHead = (head: LiveHead) => {
      wanted = head;
      if (!isSyncing) syncWanted().catch(failedHere.reject);
    };
    await Promise.race([follow(requests, onHead, present, mayStream, newest.version), failedHere.promise]);
  }

  /** Renews the headers if the server refuses them. Rejects if it refuses the new ones too. */
  async function checkHeaders(signal: AbortSignal): Promise<void> {
    try {
      await askHead(requests, signal);
    } catch (error) {
      if (error instanceof SyncError) throw error;
    }
  }

  /** Opens what the leader stored. */
  async function opened({ version, isStored }: News): Promise<H> {
    const pauses = backOff();
    for (let tries = 1; ; tries += 1) {
      try {
        if (isStored && tries === 1) return await watched.openStored(stop.signal);
        return await watched.sync({
          headers: requests.headers,
          signal: stop.signal,
          version: tries < 3 ? version : undefined,
        });
      } catch (error) {
        stop.signal.throwIfAborted();
        const passes = error instanceof SyncError && error.code === 'network';
        if (!passes && TRIES <= tries) throw error;
        await rest(pauses.next(undefined), stop.signal, true);
        await checkHeaders(stop.signal);
      }
    }
  }
}

/** A promise that may be rejected, and whose rejection need not be handled. */
function failure(): { readonly promise: Promise<never>; reject(error: unknown): void } {
  let reject = (_: unknown) => {};
  const promise = new Promise<never>((_, no) => {
    reject = no;
  });
  promise.catch(() => {});
  return { promise, reject };
}

/** The answer that an event brings to the request for its delta, with a pinned version or without. */
function givenBy({ from, delta }: LiveHead, version: string | undefined): Prefetched | undefined {
  if (from === undefined || delta === undefined) return undefined;
  const body = deltaBytes(delta).buffer;
  const name = version === undefined ? from : `${from}-${version}`;
  return { name, isFromEvent: true, answer: { status: 200, headers: [], body } };
}
