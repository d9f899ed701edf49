import { apply, isRefused, journalOf } from './apply.js';
import { Decoder, warm } from './core.js';
import { SyncError } from '../shared/error.js';
import { refusal } from './exchange.js';
import { isWhole } from './verifiedReader.js';
import { finishBegun } from './resume.js';
import { fromSignature } from './signature.js';
import type { Applied, Basis } from './apply.js';
import type { Core } from './core.js';
import type { Exchange } from './exchange.js';
import type { Cost, Progress } from '../shared/messages.js';
import type { Held, Lease, Snapshot } from '../stores/store.js';

/*
 * A sync: which request to make, and what to do with its answer. The tries are in the protocol's order: finish what was begun, ask for
 * what is held, sign it where the server does not know it, take the whole file. Each gives an outcome, or nothing where the next is to
 * be tried, or throws where none would help.
 */

/** What a sync works with. */
export interface Session {
  readonly core: Promise<Core>;
  readonly snapshot: Snapshot;
  /** What stands in for the snapshot after an error; nothing where the error is not that a part of the platform is denied or silent. */
  instead(error: unknown): Promise<Opened | undefined>;
  readonly exchange: Exchange;
  /** Ends it, until the version is written. */
  readonly signal: AbortSignal;
  /** The only version that will do, if one is pinned. */
  readonly pin: string | undefined;
  readonly maxBytes: number;
  readonly progress: Pick<Progress, 'written' | 'length'>;
  report(): void;
}

/** A store, opened; or what stands in for it, and why. */
export interface Opened {
  readonly snapshot: Snapshot;
  readonly warning?: string | undefined;
}

/** A version that is synced, and how. */
export interface Outcome {
  readonly lease: Lease;
  readonly basis: Cost['basis'];
  readonly reused: number;
}

/** Brings the snapshot to the server's head, or to the version that is pinned. */
export async function run(session: Session): Promise<Outcome> {
  const { finished, outcome } = await withHeld(session, async (held) => {
    const finished = await finishBegun(session, held);
    return finished ? { finished } : { outcome: await fromHeld(session, held) };
  });
  return finished ? newest(session, finished) : (outcome ?? fromNothing(session));
}

/** Gives the version that is stored, and asks nobody. */
export async function stored({ snapshot, pin }: Session): Promise<Outcome> {
  const lease = await snapshot.lease();
  if ((pin ?? lease.version) !== lease.version) {
    lease.release();
    throw new SyncError('store', `version ${lease.version} is stored, pinned is ${pin}`);
  }
  return { lease, basis: 'same', reused: lease.length };
}

/** What was begun may be the head no longer. */
async function newest(session: Session, finished: Outcome): Promise<Outcome> {
  if (session.pin !== undefined) return finished;
  await finished.lease.store?.();
  if (finished.lease.warning !== undefined) return finished;
  try {
    const outcome = (await withHeld(session, (held) => fromHeld(session, held))) ?? (await fromNothing(session));
    return outcome.basis === 'same' ? { ...finished, lease: outcome.lease } : outcome;
  } finally {
    finished.lease.release();
  }
}

/** What a delta from a version, or from none, came to. */
export async function outcomeOf(session: Session, held: Held | undefined, applied: Applied): Promise<Outcome> {
  if (applied.lease) return { lease: applied.lease, basis: held ? 'version' : 'none', reused: applied.reused };
  return stored(session);
}

/** What is held, as a basis. */
export function basisOf(held: Held | undefined): Basis | undefined {
  if (!held) return undefined;
  return {
    ready: (start, end) => held.ready?.([[start, end]]),
    fill: (core, start, end) => held.read(core.fill(end - start), start),
  };
}

/** The machine for a delta from what is held. */
export function decoderFor({ maxBytes }: Session, held: Held | undefined): Decoder {
  return held ? Decoder.version(held.version, held.length, maxBytes) : Decoder.none(maxBytes);
}

async function fromHeld(session: Session, held: Held | undefined): Promise<Outcome | undefined> {
  if (!held) return undefined;
  const { exchange, snapshot, pin } = session;
  if (held.version === pin) return outcomeOf(session, held, { lease: undefined, reused: 0 });
  const asked = exchange.ask(pin === undefined ? held.version : `${held.version}-${pin}`);
  warmMeanwhile(session, held, asked);
  const answer = await asked;
  if (answer.kind === 'no-delta') {
    const { code, head } = answer.problem;
    if (code === 'no-such-file') throw refusal(answer.status, answer.problem);
    const signs = code === 'unknown-version' && (pin ?? head) === head;
    return signs ? fromSignature(session, held, answer.problem) : undefined;
  }
  const journal = journalOf(session, held.version, answer);
  try {
    const delta = { decoder: () => decoderFor(session, held), pieces: answer.pieces, basis: basisOf(held), journal };
    return await outcomeOf(session, held, await apply(session, delta));
  } catch (error) {
    // Either the delta is at fault or what is held; the latter is fetched as if it had never been there.
    if (!isRefused(error) || (await isWhole(await session.core, held))) throw error;
    await snapshot.drop();
    return undefined;
  }
}

/** Readies the core while the server is asked, unless the answer is here already. */
function warmMeanwhile({ core }: Session, { length }: Held, asked: Promise<unknown>): void {
  const waiting = core.then((ready) => setTimeout(() => warm(ready, length)));
  const stop = async () => clearTimeout(await waiting);
  asked.then(stop, stop).catch(() => {}); // Whoever needs the core, or the answer, hears of it.
}

async function fromNothing(session: Session): Promise<Outcome> {
  const { exchange, pin } = session;
  const answer = await exchange.ask(pin === undefined ? 'none' : `none-${pin}`);
  if (answer.kind === 'no-delta') throw refusal(answer.status, answer.problem);
  const journal = journalOf(session, 'none', answer);
  const delta = { decoder: () => decoderFor(session, undefined), pieces: answer.pieces, journal };
  return outcomeOf(session, undefined, await apply(session, delta));
}

async function withHeld<T>({ snapshot }: Session, attempt: (held: Held | undefined) => Promise<T>): Promise<T> {
  const held = await snapshot.held();
  try {
    return await attempt(held);
  } finally {
    held?.close();
  }
}
