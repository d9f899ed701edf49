import type { DirectoryOptions } from './directoryOptions.js';
import type { SyncOptions } from './options.js';

/** How headers are renewed that the server accepts for a while only. */
export interface RenewOptions {
  /**
   * Returns new headers after the server refused the present ones with status 401 or 403, for example with a new token.
   * If it refuses these too, or without this function, watching ends with a `SyncError`.
   */
  renewHeaders?: () => HeadersInit | Promise<HeadersInit>;
}

/** Options of {@link watch}: those of {@link sync}, and how headers are renewed. */
export interface WatchOptions extends Omit<SyncOptions, 'version'>, RenewOptions {}

/** Options of {@link watchDirectory}: those of {@link syncDirectory}, and how headers are renewed. */
export interface WatchDirectoryOptions extends Omit<DirectoryOptions, 'version'>, RenewOptions {}
