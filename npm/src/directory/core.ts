import load, {
  DirectoryDelta,
  Have,
  Manifest,
  type PartsDecoder,
  type Plan,
  Room,
  Verifier,
  Want,
} from '../../wasm/directories/driblet.js';
import { answerable, loadModule, loadedOnce, roomfuls, yieldIfDue, ROOM } from '../shared/module.js';
import { asSyncError } from '../shared/error.js';
import { bytesOf } from '../stores/directories/store.js';
import type { Module } from '../shared/module.js';

export { DirectoryDelta, Have, Manifest, Want };
export type { PartsDecoder, Plan };

/** The wasm module for directories, loaded. */
export type DirectoryCore = Module<Room>;

const answered = answerable(load);

/** Has a function answer the request for the module, in place of the network. */
export const respondToModule = answered.respond;

/** Loads the module once, from the URL given or from beside the script. */
export const directoryCore = loadedOnce(
  (url: string | URL = new URL('../../wasm/directories/driblet_bg.wasm', import.meta.url)): Promise<DirectoryCore> =>
    loadModule(url, answered.load, (length) => new Room(length)),
);

/** Whether bytes are those of a file version, which has 64 hex digits. */
export function isVersion(core: DirectoryCore, version: string, bytes: Uint8Array): Promise<boolean> {
  return verified(core, version, bytes.length, async (take) => take(bytes));
}

/** Whether a blob has the bytes of a file version. `also` gets the bytes too, piece by piece. */
export function isVersionIn(
  core: DirectoryCore,
  version: string,
  blob: Blob,
  also?: (bytes: Uint8Array) => Promise<void> | undefined | void,
): Promise<boolean> {
  return verified(core, version, blob.size, async (take) => {
    for (let at = 0; at < blob.size; at += ROOM) {
      const bytes = await bytesOf(blob.slice(at, at + ROOM));
      if (!bytes) return;
      await take(bytes);
      await also?.(bytes);
    }
  });
}

async function verified(
  core: DirectoryCore,
  version: string,
  length: number,
  read: (take: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<boolean> {
  const verifier = new Verifier(version, length, new Uint8Array());
  try {
    verifier.begin(0);
    await read(async (bytes) => {
      for (const size of roomfuls(core, bytes)) {
        verifier.update(core.room, size);
        await yieldIfDue();
      }
    });
    return verifier.isRight();
  } finally {
    verifier.free();
  }
}

/** Runs a call into the core. Throws a `protocol` error that says what was refused. */
export function checked<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asSyncError('protocol', `${what} is not valid (report it to the operator of the server)`, error);
  }
}
