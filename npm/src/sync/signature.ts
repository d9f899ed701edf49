import { apply, isRefused } from './apply.js';
import { fromBase64, joined } from '../shared/bytes.js';
import { CodecsMissing } from './codecs.js';
import { Signer, allCodecs, readThrough } from './core.js';
import { SyncError, asSyncError } from '../shared/error.js';
import type { Basis } from './basis.js';
import type { Core } from './core.js';
import type { Matched } from '../../wasm/codecs/driblet.js';
import type { Problem } from './exchange.js';
import type { Outcome, Session } from './session.js';
import type { Held, Range } from '../stores/store.js';

const SIGNATURE = 'application/vnd.driblet.signature';

/**
 * Syncs from a version that the server does not know: sends its signature, and applies a delta against the chunks that
 * matched. Undefined if that fails, for example because a tag matched by chance.
 */
export async function fromSignature(session: Session, held: Held, problem: Problem): Promise<Outcome | undefined> {
  let core: Core;
  try {
    core = await session.allCodecs();
  } catch (error) {
    if (error instanceof CodecsMissing) return undefined;
    throw error;
  }
  const { signer, list } = signerFor(problem);
  let matched: Matched | undefined;
  try {
    if (!(await readThrough(core, held, [0, held.length], (length) => signer.handleInput(core.room, length))))
      return undefined;
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    const body = signer.sign(nonce, list) as Uint8Array<ArrayBuffer>;
    const answer = await session.exchange.ask('signature', {
      method: 'POST',
      body,
      headers: { 'content-type': SIGNATURE },
    });
    if (answer.kind === 'no-delta') return undefined;
    const start = await readRuns(signer, answer.pieces);
    const basis = (matched = start.matched);
    const delta = {
      decoder: () => allCodecs.matched(basis, session.maxBytes),
      core,
      pieces: start.pieces,
      basis: matchedBasis(held, basis),
    };
    const { lease, reused } = await apply(session, delta);
    return lease && { lease, basis: reused === 0 ? 'none' : 'matched', reused };
  } catch (error) {
    if (isRefused(error)) return undefined;
    throw error;
  } finally {
    matched?.free();
    signer.free();
  }
}

/** A signer with the chunk sizes that the server asked for, and the list of the head's sections. */
function signerFor({ rungs, sections }: Problem): { signer: Signer; list: Uint8Array } {
  try {
    const list = fromBase64(sections);
    const [coarse, fine] = rungs as number[];
    return { signer: new Signer(Number(coarse), Number(fine)), list };
  } catch (error) {
    throw asSyncError('protocol', 'the server named no valid chunk sizes for the signature', error);
  }
}

/** Reads the runs at the start of an answer. The rest of its pieces is the delta. */
async function readRuns(signer: Signer, pieces: AsyncIterable<Uint8Array>) {
  const rest = pieces[Symbol.asyncIterator]();
  let came = new Uint8Array();
  for (;;) {
    const next = await rest.next();
    if (next.done)
      throw new SyncError('network', 'the connection ended while reading the answer to the signature; sync again');
    came = joined([came, next.value]);
    const matched = decodeRuns(signer, came);
    if (matched) return { matched, pieces: following(came.subarray(matched.consumed), rest) };
  }
}

function decodeRuns(signer: Signer, came: Uint8Array): Matched | undefined {
  try {
    return signer.matched(came);
  } catch (error) {
    throw asSyncError('protocol', 'the answer to the signature is not valid', error);
  }
}

async function* following(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** The matched basis: its bytes are in many places of the stored version. */
function matchedBasis(held: Held, matched: Matched): Basis {
  return {
    ready: (start, end) => held.ready?.([...spans(matched.locate(start, end))]),
    fill(core, start, end) {
      const room = core.fill(end - start);
      let filled = 0;
      for (const [from, to] of spans(matched.locate(start, end)))
        filled += held.read(room.subarray(filled, filled + to - from), from);
      return filled;
    },
  };
}

function* spans(ends: Float64Array): Generator<Range> {
  for (let index = 0; index + 1 < ends.length; index += 2) yield [ends[index]!, ends[index + 1]!];
}
