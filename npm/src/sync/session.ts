import { SyncError } from '../shared/error.js';
import type { Cost, Progress } from '../shared/messages.js';
import type { Held, Lease, Snapshot } from '../stores/store.js';
import type { Core } from './core.js';
import type { Exchange } from './exchange.js';

/** What a sync works with. */
export interface Session {
  readonly core: Promise<Core>;
  readonly snapshot: Snapshot;
  /** What stands in for the snapshot after an error; nothing where the error is not that a part of the platform is denied or silent. */
  instead(error: unknown): Promise<OpenedStore | undefined>;
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
export interface OpenedStore {
  readonly snapshot: Snapshot;
  readonly warning?: string | undefined;
}

/** A version that is synced, and how. */
export interface Outcome {
  readonly lease: Lease;
  readonly basis: Cost['basis'];
  readonly reused: number;
}

/** What came of a delta: the new head, or nothing where the version named is the head. */
export interface Applied {
  readonly lease: Lease | undefined;
  readonly reused: number;
}

/** Gives the version that is stored, and asks nobody. */
export async function storedOutcome({ snapshot, pin }: Session): Promise<Outcome> {
  const lease = await snapshot.lease();
  if ((pin ?? lease.version) !== lease.version) {
    lease.release();
    throw new SyncError('store', `version ${lease.version} is stored, pinned is ${pin}`);
  }
  return { lease, basis: 'same', reused: lease.length };
}

/** What a delta from a version, or from none, came to. */
export async function outcomeOf(session: Session, held: Held | undefined, applied: Applied): Promise<Outcome> {
  if (applied.lease) return { lease: applied.lease, basis: held ? 'version' : 'none', reused: applied.reused };
  return storedOutcome(session);
}
