import { apply, isRefused, journalOf } from './apply.js';
import { basisOf, decoderFor } from './basis.js';
import { CodecsMissing, acceptsAllCodecs } from './codecs.js';
import { warm } from './core.js';
import { refusal } from './exchange.js';
import { finishBegun } from './resume.js';
import { copied, outcomeOf, storedOutcome } from './session.js';
import { fromSignature } from './signature.js';
import { isWhole } from './verifiedReader.js';
import type { Decoders } from './core.js';
import type { Held } from '../stores/store.js';
import type { Outcome, Session } from './session.js';

/*
 * A sync: which requests to make, and what to do with the answers. It tries in this order: finish a delta that was cut
 * off; ask for the delta from the stored version; send a signature of that version if the server does not know it; take
 * the whole file. Each try returns an outcome, or undefined if the next one should be tried. It throws if no other try
 * would help.
 */

/** Brings the snapshot to the server's head, or to the pinned version. */
export async function run(session: Session): Promise<Outcome> {
  const { finished, outcome } = await withHeld(session, async (held) => {
    const finished = await finishBegun(session, held);
    return finished ? { finished } : { outcome: await fromHeld(session, held) };
  });
  return finished ? fromFinished(session, finished) : (outcome ?? fromNothing(session));
}

/** The version of a finished delta may no longer be the head: asks for a delta from it. */
async function fromFinished(session: Session, finished: Outcome): Promise<Outcome> {
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

async function fromHeld(session: Session, held: Held | undefined): Promise<Outcome | undefined> {
  if (!held) return undefined;
  const { exchange, snapshot, pin } = session;
  const upToDate = () => (held.isBorrowed ? copied(session, held) : storedOutcome(session));
  if (held.version === pin) return upToDate();
  if (held.isBorrowed) await exchange.askGrant(held.version);
  const acceptedAll = acceptsAllCodecs();
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
    const delta = {
      decoder: (of: Decoders) => decoderFor(of, session, held),
      pieces: answer.pieces,
      basis: basisOf(held),
      journal,
    };
    const applied = await apply(session, delta);
    return applied.lease ? await outcomeOf(session, held, applied) : await upToDate();
  } catch (error) {
    if (error instanceof CodecsMissing && acceptedAll) return fromHeld(session, held);
    // The delta or the stored version is damaged. A damaged version is dropped, and the whole file is fetched.
    if (!isRefused(error) || (await isWhole(await session.core, held))) throw error;
    // A sync of the other URL notices the damage itself.
    if (!held.isBorrowed) await snapshot.drop();
    return undefined;
  }
}

/** Prepares the core while the sync waits for the answer. Does nothing if the answer comes first. */
function warmMeanwhile({ core }: Session, { length }: Held, asked: Promise<unknown>): void {
  const waiting = core.then((ready) => setTimeout(() => warm(ready, length)));
  const stop = async () => clearTimeout(await waiting);
  asked.then(stop, stop).catch(() => {}); // Code that needs the core or the answer handles the error.
}

async function fromNothing(session: Session): Promise<Outcome> {
  const { exchange, pin } = session;
  const answer = await exchange.ask(pin === undefined ? 'none' : `none-${pin}`);
  if (answer.kind === 'no-delta') throw refusal(answer.status, answer.problem);
  const journal = journalOf(session, 'none', answer);
  const delta = { decoder: (of: Decoders) => decoderFor(of, session, undefined), pieces: answer.pieces, journal };
  return outcomeOf(session, undefined, await apply(session, delta));
}

async function withHeld<T>(session: Session, attempt: (held: Held | undefined) => Promise<T>): Promise<T> {
  const held = (await session.snapshot.held()) ?? (await session.borrowed());
  try {
    return await attempt(held);
  } finally {
    held?.close();
  }
}
