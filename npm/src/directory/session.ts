import type { Exchange } from '../sync/exchange.js';
import type { DirectoryProgress } from './messages.js';
import type { DirectoryCore } from './core.js';
import type { DirectoryRecords } from '../stores/directories/holdings.js';
import type { DirectoryStore, MakeRoom } from '../stores/directories/store.js';

/** What the sync of a directory works with. */
export interface DirectorySession {
  readonly core: DirectoryCore;
  readonly store: DirectoryStore;
  readonly key: string;
  readonly records: DirectoryRecords;
  readonly makeRoom: MakeRoom;
  readonly exchange: Exchange;
  /** Aborts the sync. */
  readonly signal: AbortSignal;
  /** The only version to accept, if there is one. */
  readonly pin: string | undefined;
  readonly maxBytes: number;
  readonly maxFiles: number;
  readonly progress: DirectoryProgress;
  report(): void;
}
