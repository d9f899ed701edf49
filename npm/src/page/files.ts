import { clientOf } from './client.js';
import { settingsInUse } from './configure.js';
import { prefetch } from './prefetch.js';
import { importEngine, newWorker } from '../spawn.js';
import type { JobOptions, Progress, Synced } from '../shared/messages.js';
import type { Range } from '../stores/store.js';

/* The page's side of the engine for files. */

export const { sendSync, sendRead, sendClose, sendForget, whenStored, runHere } = clientOf<
  JobOptions,
  Synced,
  Range | undefined,
  Progress
>({ newWorker: () => newWorker(settingsInUse().workerUrl), importEngine }, prefetch);
