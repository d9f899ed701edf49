import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inTurn } from '../../shared/lock.js';
import { directoryHandle, ownName, withDomErrors } from '../directory.js';
import { FOLDER } from './names.js';
import { filePacks } from './filePacks.js';
import type { DirectoryOpener, RecordChange, Records } from './store.js';

/*
 * Directories in a folder of the disk. Each record is a file. The file `index` says which file has which record, and is
 * replaced atomically, so that a change of several records is made as a whole or not at all.
 *
 * Processes share no locks. If two of them change records at the same moment, the changes of one are lost: the next sync
 * fetches what is missing.
 */

/** Opens the directories of a folder. */
export const folderDirectories: DirectoryOpener = {
  part: 'the folder',
  async open(name, watch) {
    const packs = await filePacks(name, watch, async () => directoryHandle(''), ownName);
    return { name, records: folderRecords(join(`${name}${FOLDER}`, 'records')), packs };
  },
};

const INDEX = 'index';

function folderRecords(folder: string): Records {
  type Index = Record<string, string>;

  async function index(): Promise<Index> {
    const text = await readFile(join(folder, INDEX), 'utf8').catch(absent);
    try {
      return JSON.parse(text ?? '{}') as Index;
    } catch {
      return {}; // A damaged index counts as none.
    }
  }

  async function write(name: string, bytes: Uint8Array | string): Promise<void> {
    const file = await open(join(folder, name), 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async function change(changes: readonly RecordChange[]): Promise<void> {
    await mkdir(folder, { recursive: true });
    const next = await index();
    for (const [key, value] of changes) {
      delete next[key];
      if (!value) continue;
      const name = `value-${ownName()}`;
      await write(name, value);
      next[key] = name;
    }
    const name = `index-${ownName()}`;
    await write(name, JSON.stringify(next));
    await rename(join(folder, name), join(folder, INDEX));
    await flushFolder(folder);
    const named = new Set([INDEX, ...Object.values(next)]);
    // Files of other processes are not seen here.
    for await (const name of directoryHandle(folder).keys())
      if (!named.has(name)) await rm(join(folder, name), { force: true });
  }

  return {
    keys: async (first, end) =>
      Object.keys(await index())
        .filter((key) => first <= key && key < end)
        .sort(),
    async values(keys) {
      const names = await index();
      const valueIn = async (name: string | undefined) =>
        name === undefined ? undefined : readFile(join(folder, name)).catch(absent);
      return Promise.all(keys.map((key) => valueIn(names[key]).then((value) => value && new Uint8Array(value))));
    },
    change: (changes) => inTurn(`driblet records ${folder}`, () => withDomErrors(change(changes))),
  };
}

async function flushFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // Windows cannot open folders.
  const opened = await open(folder, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
