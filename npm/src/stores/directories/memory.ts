import type { DirectoryStore, PackWriter, Packs, RecordChange, Records } from './store.js';

/* Directories in memory. They live as long as the worker. */

/** A store in memory. */
export function memoryDirectories(name: string): DirectoryStore {
  return { name, records: memoryRecords(), packs: memoryPacks() };
}

/** A store that reads from another one and writes to memory. */
export function inMemoryBeside(stored: DirectoryStore): DirectoryStore {
  const [records, packs] = [memoryRecords(), memoryPacks()];
  const removed = new Set<string>();
  return {
    name: stored.name,
    records: {
      async keys(first, end) {
        const below = (await stored.records.keys(first, end)).filter((key) => !removed.has(key));
        return [...new Set([...below, ...(await records.keys(first, end))])].sort();
      },
      async values(keys) {
        const [own, below] = await Promise.all([records.values(keys), stored.records.values(keys)]);
        return own.map((value, at) => value ?? (removed.has(keys[at]!) ? undefined : below[at]));
      },
      async change(changes) {
        for (const [key] of changes) removed.add(key);
        await records.change(changes);
      },
    },
    packs: {
      ...packs,
      open: async (id) => (await packs.open(id)) ?? stored.packs.open(id),
    },
  };
}

function memoryRecords(): Records {
  const values = new Map<string, Uint8Array>();
  return {
    keys: async (first, end) => [...values.keys()].filter((key) => first <= key && key < end).sort(),
    values: async (keys) => keys.map((key) => values.get(key)),
    async change(changes: readonly RecordChange[]) {
      for (const [key, value] of changes) {
        if (value) values.set(key, value);
        else values.delete(key);
      }
    },
  };
}

function memoryPacks(): Packs {
  const packs = new Map<string, Blob[]>();
  let last = 0;
  return {
    async create(): Promise<PackWriter> {
      last += 1;
      const id = `m-${last}`;
      let pieces: Uint8Array<ArrayBuffer>[] = [];
      packs.set(id, []);
      return {
        id,
        write: (bytes) => void pieces.push(bytes.slice()),
        async flush() {
          const written = packs.get(id) ?? [];
          packs.set(id, [new Blob([...written, ...pieces])]);
          pieces = [];
        },
        close() {},
      };
    },
    async open(id) {
      if (!packs.has(id)) return undefined;
      return { blob: async (start, end) => packs.get(id)?.[0]?.slice(start, end) };
    },
    list: async () => [...packs.keys()],
    remove: async (id) => void packs.delete(id),
  };
}
