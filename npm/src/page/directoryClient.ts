import { clientOf } from './client.js';
import { settingsInUse } from './configure.js';
import { importDirectoryEngine, newDirectoryWorker } from '../spawn.js';
import type { DirectoryJob, DirectoryProgress, FileRead, SyncedDirectory } from '../directory/messages.js';

/* The page's side of the engine for directories. */

export const { sendSync, sendRead, sendClose, sendForget, runHere } = clientOf<
  DirectoryJob,
  SyncedDirectory,
  FileRead,
  DirectoryProgress
>({
  newWorker: () => newDirectoryWorker(settingsInUse().directoryWorkerUrl),
  importEngine: importDirectoryEngine,
});
