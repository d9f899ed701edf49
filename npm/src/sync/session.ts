import { SyncError } from '../shared/error.js';
import { readThrough } from './core.js';
import { isWhole } from './verifiedReader.js';
import type { Cost, Progress } from '../shared/messages.js';
import type { Held, Lease, Snapshot } from '../stores/store.js';
import type { Core } from './core.js';
import type { Exchange } from './exchange.js';

/** What a sync works with. */
export interface Session {
  readonly core: Promise<Core>;
  /** Loads the module that decodes all codecs. */
  allCodecs(): Promise<Core>;
  readonly snapshot: Snapshot;
  /**
   * Opens another store after an error that means that a part of the platform is denied or silent. Undefined for other
   * errors.
   */
  instead(error: unknown): Promise<OpenedStore | undefined>;
  /** Opens the version that is the basis if nothing is stored for the URL: one of another URL. */
  borrowed(): Promise<Held | undefined>;
  readonly exchange: Exchange;
  /** Aborts the sync, until the version is written. */
  readonly signal: AbortSignal;
  /** The only version to accept, if there is one. */
  readonly pin: string | undefined;
  readonly maxBytes: number;
  readonly progress: Pick<Progress, 'written' | 'length'>;
  report(): void;
}

/** An open store; or what replaces it, and the reason. */
export interface OpenedStore {
  readonly snapshot: Snapshot;
  readonly warning?: string | undefined;
}

/** A synced version, and how it was made. */
export interface Outcome {
  readonly lease: Lease;
  readonly basis: Cost['basis'];
  readonly reused: number;
}

/** The result of a delta: the new head, or no lease if the named version is the head. */
export interface Applied {
  readonly lease: Lease | undefined;
  readonly reused: number;
}

/** Returns the stored version without a request. */
export async function storedOutcome({ snapshot, pin }: Session): Promise<Outcome> {
  const lease = await snapshot.lease();
  if ((pin ?? lease.version) !== lease.version) {
    lease.release();
    throw new SyncError('store', `version ${lease.version} is stored, but version ${pin} was asked for`);
  }
  return { lease, basis: 'same', reused: lease.length };
}

/** The outcome of a delta from the held version, or from nothing. */
export async function outcomeOf(session: Session, held: Held | undefined, applied: Applied): Promise<Outcome> {
  if (applied.lease) return { lease: applied.lease, basis: held ? 'version' : 'none', reused: applied.reused };
  return storedOutcome(session);
}

/** Stores the version of another URL under this one. Undefined if its bytes are damaged. */
export async function copied({ core, snapshot }: Session, held: Held): Promise<Outcome | undefined> {
  const ready = await core;
  if (!(await isWhole(ready, held))) return undefined;
  const { version, length, outboard } = held;
  const staging = await snapshot.stage({ version, length, outboard });
  try {
    const isRead = await readThrough(ready, held, [0, length], (size) => staging.write(ready.fill(size)));
    if (isRead) return { lease: await staging.commit(), basis: 'same', reused: length };
  } catch (error) {
    await staging.discard().catch(() => {}); // The next sync deletes what is left over.
    throw error;
  }
  await staging.discard();
  return undefined;
}
