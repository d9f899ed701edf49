import { joined } from '../shared/bytes.js';
import { SyncError } from '../shared/error.js';
import { DIRECTORY, refusal } from '../sync/exchange.js';
import { DirectoryDelta, Have, Manifest, checked } from './core.js';
import { listingOf } from './listing.js';
import type { Plan } from './core.js';
import type { Listing } from './listing.js';
import type { DirectorySession } from './session.js';
import type { Answer, Problem } from '../sync/exchange.js';
import type { Holdings } from '../stores/directories/holdings.js';

/* Asks for a directory delta, and checks what it brings. */

const MANIFEST = 'application/vnd.driblet.manifest';
const HAVE = 'application/vnd.driblet.have';
const OCTETS = 'application/octet-stream';
/** Plain file hosts send the last two. */
const TYPES = [DIRECTORY, OCTETS, ''];
const ACCEPTED = { accept: `${DIRECTORY}, */*;q=0.5` };

/** The most other versions that a server takes. */
const MAX_OTHERS = 1 << 16;

/** A part of a directory delta. Files and bases are indices in the new listing and in the old one. */
export interface PlannedPart {
  readonly files: Uint32Array;
  readonly bases: Uint32Array;
  readonly name: string;
}

/** What a directory delta brings. Free it after use. */
export interface Planned {
  /** Both versions, as in the name of the directory delta. */
  readonly pair: string;
  readonly target: string;
  readonly old: Listing | undefined;
  readonly new: Listing;
  /** The new manifest's bytes. */
  readonly manifest: Uint8Array;
  readonly parts: readonly PlannedPart[];
  readonly plan: Plan | undefined;
  /** The bytes of part 0, which are still arriving. */
  readonly inline: AsyncGenerator<Uint8Array> | undefined;
  free(): void;
}

/** The answer to the question for a directory delta from a version: nothing if the server does not know the version. */
export type Asked = { readonly planned: Planned } | { readonly unknown: Problem };

/** Asks for the directory delta from a manifest, or from nothing. */
export async function askDelta(session: DirectorySession, old: Manifest | undefined): Promise<Asked> {
  const { exchange, pin } = session;
  const from = old?.version ?? 'none';
  const answer = await exchange.ask(pin === undefined ? from : `${from}-${pin}`, { headers: ACCEPTED }, TYPES);
  if (answer.kind === 'no-delta') {
    if (old && answer.problem.code !== 'no-such-file') return { unknown: answer.problem };
    throw refusal(answer.status, answer.problem);
  }
  return { planned: await plannedBy(session, answer, old, from) };
}

/** Plans a sync without a request: the receiver has the newest manifest already. */
export function samePlan(manifest: Manifest, bytes: Uint8Array): Planned {
  const listing = listingOf(manifest);
  const { version } = manifest;
  return {
    ...{ pair: '', target: version, old: listing, new: listing, manifest: bytes, parts: [] },
    ...{ plan: undefined, inline: undefined, free() {} },
  };
}

/**
 * Says what is held of a manifest, and asks for the directory delta from that. Undefined if the server does not take it,
 * or if nothing is held of it.
 */
export async function postHave(
  session: DirectorySession,
  target: Manifest,
  { places }: Holdings,
  old: Listing | undefined,
): Promise<Planned | undefined> {
  const listing = listingOf(target);
  const [held, others, lengths]: [number[], number[], number[]] = [[], [], []];
  const versions: string[] = [];
  for (let index = 0; index < listing.count; index += 1) {
    if (places.has(listing.id(index))) {
      held.push(index);
      continue;
    }
    const before = old?.find(listing.pathAt(index));
    const id = before === undefined ? undefined : old?.id(before);
    const place = id === undefined ? undefined : places.get(id);
    if (id === undefined || !place || MAX_OTHERS <= others.length) continue;
    others.push(index);
    lengths.push(place.length);
    versions.push(id);
  }
  if (held.length + others.length === 0) return undefined;
  const bytes = Uint8Array.from(versions.join(''), (letter) => letter.charCodeAt(0));
  const have = new Have(target, Uint32Array.from(held), Uint32Array.from(others), bytes, Float64Array.from(lengths));
  try {
    const headers = { ...ACCEPTED, 'content-type': HAVE };
    const body = have.encode() as Uint8Array<ArrayBuffer>;
    const answer = await session.exchange.ask('have', { method: 'POST', body, headers }, TYPES);
    if (answer.kind === 'no-delta') return undefined;
    return await plannedBy(session, answer, have, undefined);
  } finally {
    have.free();
  }
}

/** Fetches the manifest of a version. Undefined if the server does not know it. */
export async function fetchManifest(
  { exchange, maxFiles }: DirectorySession,
  version: string,
): Promise<Manifest | undefined> {
  const answer = await exchange.ask(`manifest/${version}`, { headers: { accept: '*/*' } }, [MANIFEST, OCTETS, '']);
  if (answer.kind === 'no-delta') return undefined;
  const pieces: Uint8Array[] = [];
  for await (const piece of answer.pieces) pieces.push(piece);
  const manifest = checked("the server's manifest", () => Manifest.parse(joined(pieces), maxFiles));
  if (manifest.version === version) return manifest;
  manifest.free();
  throw new SyncError('protocol', `the server sent another manifest than that of version ${version}`);
}

/** Reads a directory delta up to its first part. `from` is the old manifest, or what was posted. */
async function plannedBy(
  session: DirectorySession,
  answer: Answer & { kind: 'delta' },
  from: Manifest | Have | undefined,
  name: string | undefined,
): Promise<Planned> {
  const pieces = answer.pieces[Symbol.asyncIterator]() as AsyncGenerator<Uint8Array>;
  const nothing = Manifest.none();
  let [delta, made, plan]: [DirectoryDelta?, Manifest?, Plan?] = [];
  try {
    const accepted = from instanceof Have ? from.acceptedLength : 0;
    const start = await startOf(pieces, accepted);
    delta = start.delta;
    if (from instanceof Have) made = checked("the server's answer", () => from.manifest(start.accepted));
    const old = made ?? (from as Manifest | undefined);
    const target = delta.target;
    checkPin(session, target);
    if (old && delta.isSame && old.version === target) {
      await pieces.return(undefined);
      return samePlan(old, old.encode());
    }
    const { maxFiles } = session;
    const applied = checked("the server's directory delta", () => start.delta.apply(old ?? nothing, maxFiles));
    plan = applied;
    const manifest = plan.manifest;
    const listing = listingOf(manifest);
    const bytes = manifest.encode();
    manifest.free();
    checkLength(session, listing);
    const parts = Array.from({ length: plan.count }, (_, part) => ({
      files: applied.files(part),
      bases: applied.bases(part),
      name: applied.name(part),
    }));
    const pair = `${name ?? old?.version}-${target}`;
    const inline = following(start.rest, pieces);
    const oldListing = old && listingOf(old);
    const free = () => {
      applied.free();
      void pieces.return(undefined).catch(() => {}); // Nobody may have read the first part.
    };
    return { pair, target, old: oldListing, new: listing, manifest: bytes, parts, plan, inline, free };
  } catch (error) {
    plan?.free();
    await pieces.return(undefined).catch(() => {});
    throw error;
  } finally {
    made?.free();
    delta?.free();
    nothing.free();
  }
}

/** Reads until the directory delta's head is whole. Parses when there is twice as much as at the last try. */
async function startOf(pieces: AsyncGenerator<Uint8Array>, accepted: number) {
  const came: Uint8Array[] = [];
  let [length, worth] = [0, accepted];
  for (;;) {
    const next = await pieces.next();
    if (!next.done) {
      came.push(next.value);
      length += next.value.length;
      if (length < worth) continue;
    }
    const whole = joined(came);
    const delta =
      length < accepted
        ? undefined
        : checked("the server's directory delta", () => DirectoryDelta.parse(whole.subarray(accepted)));
    if (delta) return { delta, accepted: whole.subarray(0, accepted), rest: whole.subarray(accepted + delta.consumed) };
    if (next.done) throw cutOff('the directory delta');
    worth = 2 * length;
  }
}

/** The error for an answer that ended too early. */
export function cutOff(what: string): SyncError {
  return new SyncError('network', `the connection ended while reading ${what}; sync again to continue`);
}

async function* following(first: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
}

function checkPin({ pin }: DirectorySession, target: string): void {
  if (pin === undefined || pin === target) return;
  throw new SyncError('protocol', `the server sent version ${target}, but version ${pin} was asked for`);
}

function checkLength({ maxBytes }: DirectorySession, { length }: Listing): void {
  if (length <= maxBytes) return;
  throw new SyncError('protocol', `the directory has ${length} bytes; at most ${maxBytes} are accepted`);
}
