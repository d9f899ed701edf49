import { apply, isRefused } from './apply.js';
import { SyncError } from '../shared/error.js';
import { basisOf, decoderFor } from './basis.js';
import { CodecsMissing } from './codecs.js';
import { outcomeOf } from './session.js';
import type { Decoders } from './core.js';
import type { Outcome, Session } from './session.js';
import type { Begun, Held, Journal } from '../stores/store.js';

/** Finishes a delta that an earlier sync began, if its basis is still stored and the server still has the delta. */
export async function finishBegun(session: Session, held: Held | undefined): Promise<Outcome | undefined> {
  const begun = await session.snapshot.begun();
  if (!begun) return undefined;
  const journal = begun.proceed();
  if ((session.pin ?? begun.to) !== begun.to) {
    await journal.keep();
    return undefined;
  }
  const fits = begun.from === (held?.version ?? 'none');
  if (fits && held?.isBorrowed) await session.exchange.askGrant(held.version);
  const rest = fits ? await restOf(session, begun, journal) : undefined;
  if (!rest?.continues) await journal.discard();
  if (!rest) return undefined;
  try {
    const { pieces, continues } = rest;
    const kept = continues ? { pieces: keptPieces(begun), journal } : undefined;
    const delta = {
      decoder: (of: Decoders) => decoderFor(of, session, held),
      pieces,
      basis: basisOf(held),
      begun: kept,
    };
    return await outcomeOf(session, held, await apply(session, delta));
  } catch (error) {
    // The kept bytes may be damaged. The sync then starts anew without them.
    if (isRefused(error) || error instanceof CodecsMissing) return undefined;
    throw error;
  }
}

/** The rest of a delta, and whether it continues the kept bytes. Undefined if the server cannot continue there. */
async function restOf({ exchange }: Session, begun: Begun, journal: Journal) {
  const headers = { range: `bytes=${begun.length}-`, 'if-range': begun.etag };
  try {
    const answer = await exchange.ask(`${begun.from}-${begun.to}`, { headers });
    if (answer.kind === 'no-delta') return undefined;
    const { response } = answer;
    if (response.status !== 206) return { pieces: answer.pieces, continues: false };
    const where = response.headers.get('content-range') ?? `bytes ${begun.length}-`;
    if (where.startsWith(`bytes ${begun.length}-`)) return { pieces: answer.pieces, continues: true };
    await response.body?.cancel();
    return undefined;
  } catch (error) {
    await journal.keep().catch(() => {});
    throw error;
  }
}

function* keptPieces(begun: Begun): Generator<Uint8Array> {
  const piece = new Uint8Array(1 << 16);
  for (let at = 0; at < begun.length; ) {
    const length = begun.read(piece.subarray(0, begun.length - at), at);
    if (length === 0) throw new SyncError('store', 'a file in the store shrank while it was read; sync again');
    yield piece.subarray(0, length);
    at += length;
  }
}
