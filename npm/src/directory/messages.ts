import type { JobOptions, Times } from '../shared/messages.js';
import type { DirectoryOpener } from '../stores/directories/store.js';

/** What the sync of a directory transferred, and how long it took. */
export interface DirectoryCost {
  /** Bytes of request bodies, and of the names in the requested URLs. */
  sent: number;
  /** Bytes of response bodies. */
  received: number;
  /** Number of HTTP requests. */
  requests: number;
  /** Bytes of the version's files that were stored before the sync. */
  reused: number;
  /** Milliseconds from the call to the directory. */
  elapsed: number;
  /** These milliseconds by phase, in order. */
  times: Times;
}

/** The progress of the sync of a directory. */
export interface DirectoryProgress {
  /** Bytes of response bodies received. */
  received: number;
  /** New files that are verified and written, and how many there are. */
  files: number;
  totalFiles: number | undefined;
  /** Bytes of new files that are verified and written, and how many there are. */
  written: number;
  length: number | undefined;
}

/** The sync of a directory, as the page describes it to the engine. */
export interface DirectoryJob extends Omit<JobOptions, 'openers'> {
  /** How to open the store, if only this thread can. These are functions: such a job cannot be sent to a worker. */
  readonly openers?: readonly DirectoryOpener[] | undefined;
  readonly maxFiles: number;
}

/** What is read of a directory: a file, by its index, and whether as bytes. */
export interface FileRead {
  readonly index: number;
  readonly isWhole: boolean;
}

/** The result of the sync of a directory. The number of the handle is used to read and close it. */
export interface SyncedDirectory {
  readonly handle: number;
  readonly version: string;
  /** The paths of all files, with a NUL after each, and their lengths. */
  readonly paths: string;
  readonly lengths: Float64Array<ArrayBuffer>;
  readonly warning: string | undefined;
  readonly cost: Omit<DirectoryCost, 'elapsed' | 'times'>;
  /** When the store was open and when the server began to answer, in milliseconds since 1970. */
  readonly opened: number;
  readonly answered: number | undefined;
}
