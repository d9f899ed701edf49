import { SyncError } from '../shared/error.js';
import { isWorthNoting } from '../stores/entries.js';
import { Manifest } from './core.js';
import { askDelta, fetchManifest, postHave, samePlan } from './delta.js';
import { isEmpty, listingOf } from './listing.js';
import { PartGone, PartRefused, fetchParts } from './parts.js';
import { dropDamaged, presentHoldings } from './reading.js';
import type { Planned } from './delta.js';
import type { Listing } from './listing.js';
import type { DirectorySession } from './session.js';
import type { DirectoryHead, Holdings, Present } from '../stores/directories/holdings.js';

/*
 * The sync of a directory: which requests to make, and what to do with the answers. Files that an earlier sync received
 * before it was cut off are held, so their parts are not fetched again.
 */

/** How often a sync begins anew: because the server forgot a part, or because a stored file is damaged. */
const ATTEMPTS = 3;

/** A directory version that is stored. */
export interface DirectoryOutcome {
  readonly version: string;
  /** Bytes of its files that were held before. */
  readonly reused: number;
  /** Its files, and where they lie. */
  readonly listing: Listing;
  readonly places: Holdings['places'];
}

/** Which directory delta is asked for: from the version that is held, or from nothing. */
type From = 'held' | 'nothing';

/** Brings the store to the server's newest version, or to the pinned one. */
export async function runDirectory(session: DirectorySession): Promise<DirectoryOutcome> {
  for (let attempt = 1; ; attempt += 1) {
    // At last only parts are asked for that every server with this version has.
    const from = attempt === ATTEMPTS ? 'nothing' : 'held';
    let planned: Planned | undefined;
    try {
      const prepared = await prepare(session, from);
      planned = prepared.planned;
      return await complete(session, prepared);
    } catch (error) {
      const isDamaged = error instanceof PartRefused && planned && (await dropBases(session, planned, error.bases));
      if (ATTEMPTS <= attempt || !(error instanceof PartGone || isDamaged)) throw error;
    } finally {
      planned?.free();
    }
  }
}

/** The stored head, without a request. */
export async function storedDirectory({ records, store, maxFiles }: DirectorySession): Promise<DirectoryOutcome> {
  const head = await records.head();
  const bytes = head && (await records.manifest(head.version));
  if (!bytes) throw new SyncError('store', 'no version of the directory is stored');
  const manifest = Manifest.parse(bytes, maxFiles);
  try {
    const listing = listingOf(manifest);
    const { places } = await presentHoldings(store, records);
    if (manifest.version !== head.version || 0 < missing(listing, places).size)
      throw new SyncError('store', 'the stored version of the directory is not whole; sync again');
    return { version: head.version, reused: lengthsOf(listing, new Set()).reused, listing, places };
  } finally {
    manifest.free();
  }
}

/** What is to be fetched. */
interface Prepared {
  /** The head, if its manifest is stored. */
  readonly head: DirectoryHead | undefined;
  readonly before: string | undefined;
  readonly planned: Planned;
  readonly holdings: Present;
  readonly wanted: Set<string>;
}

/** Asks for a directory delta by which everything that is missing can be had. */
async function prepare(session: DirectorySession, from: From): Promise<Prepared> {
  const { records, store } = session;
  // Known when the server has answered.
  const holding = presentHoldings(store, records);
  holding.catch(() => {}); // Whoever needs it gets the error.
  const head = await records.head();
  const stored = from === 'held' ? await storedManifest(session, head?.version) : undefined;
  try {
    const planned = await firstPlan(session, stored, holding);
    const holdings = await holding.catch((error) => {
      planned.free();
      throw error;
    });
    const prepared = (planned: Planned): Prepared => ({
      head: stored ? head : undefined,
      before: head?.version,
      planned,
      holdings,
      wanted: missing(planned.new, holdings.places),
    });
    const first = prepared(planned);
    if (canFetch(first)) return first;
    first.planned.free();
    // Stored files were lost: the server makes parts from those that are left.
    const manifest = await fetchManifest(session, first.planned.target);
    const fromHave =
      manifest && (await postHave(session, manifest, holdings, first.planned.old).finally(() => manifest.free()));
    const second = fromHave && prepared(fromHave);
    if (second && canFetch(second)) return second;
    second?.planned.free();
    return prepared(await fromNothing(session));
  } finally {
    stored?.manifest.free();
  }
}

async function firstPlan(
  session: DirectorySession,
  stored: { manifest: Manifest; bytes: Uint8Array } | undefined,
  holding: Promise<Holdings>,
): Promise<Planned> {
  if (!stored) return fromNothing(session);
  const { manifest, bytes } = stored;
  if (manifest.version === session.pin) return samePlan(manifest, bytes);
  const asked = await askDelta(session, manifest);
  if ('planned' in asked) return asked.planned;
  const target = session.pin ?? asked.unknown.head;
  const newest = typeof target === 'string' ? await fetchManifest(session, target) : undefined;
  try {
    const planned = newest && (await postHave(session, newest, await holding, listingOf(manifest)));
    return planned ?? (await fromNothing(session));
  } finally {
    newest?.free();
  }
}

async function fromNothing(session: DirectorySession): Promise<Planned> {
  const asked = await askDelta(session, undefined);
  if ('planned' in asked) return asked.planned;
  throw new SyncError('protocol', 'the server answered that it does not know the empty directory');
}

/** The stored manifest of a version; undefined if there is none, or if it is damaged. */
async function storedManifest(session: DirectorySession, version: string | undefined) {
  const bytes = version === undefined ? undefined : await session.records.manifest(version);
  if (!bytes) return undefined;
  try {
    const manifest = Manifest.parse(bytes, session.maxFiles);
    if (manifest.version === version) return { manifest, bytes };
    manifest.free();
  } catch {
    // The sync goes on as if nothing were stored; the files are held.
  }
  return undefined;
}

/** The versions of a listing that are not held. */
function missing(listing: Listing, places: Holdings['places']): Set<string> {
  const wanted = new Set<string>();
  for (let index = 0; index < listing.count; index += 1) {
    const id = listing.id(index);
    if (!places.has(id) && !isEmpty(id)) wanted.add(id);
  }
  return wanted;
}

/** Whether all wanted files are in parts whose old files are held. */
function canFetch({ planned, holdings, wanted }: Prepared): boolean {
  const left = new Set(wanted);
  const { old } = planned;
  const isHeld = (index: number) => old !== undefined && (holdings.places.has(old.id(index)) || isEmpty(old.id(index)));
  for (const { files, bases } of planned.parts) {
    if (bases.every(isHeld)) files.forEach((index) => left.delete(planned.new.id(index)));
  }
  return left.size === 0;
}

/** Fetches what is wanted, and makes the version the head. */
async function complete(session: DirectorySession, prepared: Prepared): Promise<DirectoryOutcome> {
  const { records, progress } = session;
  const { head, before, planned, holdings, wanted } = prepared;
  const { target, manifest } = planned;
  const { length, reused } = lengthsOf(planned.new, wanted);
  Object.assign(progress, { files: 0, totalFiles: wanted.size, written: 0, length });
  session.report();
  const needed = wanted.size;
  if (0 < needed) await fetchParts(session, planned, holdings, wanted);
  session.signal.throwIfAborted();
  const now = Date.now();
  const { places } = 0 < needed ? await records.holdings() : holdings;
  if (head?.version === target) {
    if (isWorthNoting(head.used)) await records.noteUse(head).catch(() => {}); // Then it is evicted sooner.
  } else {
    // Another tab without locks may have deleted something.
    if (0 < missing(planned.new, places).size)
      throw new SyncError('store', 'files of the directory were removed while it was stored; sync again');
    const { count: files, length } = planned.new;
    await records.setHead({ version: target, length, files, before, stored: now, used: now }, manifest);
  }
  return { version: target, reused, listing: planned.new, places };
}

/** Bytes of the versions that are wanted, of which each counts once, and of the files that are held. */
function lengthsOf(listing: Listing, wanted: Set<string>): { length: number; reused: number } {
  const left = new Set(wanted);
  const sums = { length: 0, reused: 0 };
  for (let index = 0; index < listing.count; index += 1) {
    const id = listing.id(index);
    if (!wanted.has(id)) sums.reused += listing.lengths[index]!;
    else if (left.delete(id)) sums.length += listing.lengths[index]!;
  }
  return sums;
}

/** Forgets what is damaged in the packs with some old files. Returns whether there was something. */
async function dropBases(session: DirectorySession, { old }: Planned, bases: Uint32Array): Promise<boolean> {
  const { places } = await session.records.holdings();
  const packs = [...bases].flatMap((index) => places.get(old?.id(index) ?? '')?.pack ?? []);
  return dropDamaged(session.store, session.key, session.core, new Set(packs));
}
