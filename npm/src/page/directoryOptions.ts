import type { DirectoryProgress } from '../directory/messages.js';
import type { SyncOptions } from './options.js';

/** Options of {@link syncDirectory}. Those that `sync()` also has mean the same. */
export interface DirectoryOptions extends Omit<SyncOptions, 'basis' | 'onProgress'> {
  /** Called with the progress each time bytes arrive. Default: none. */
  onProgress?: (progress: DirectoryProgress) => void;
  /** The most files to accept. Default: 1,048,576, which the protocol allows at most. */
  maxFiles?: number;
}
