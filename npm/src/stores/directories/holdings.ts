import { inRoom } from './store.js';
import type { MakeRoom, Pack, RecordChange, Records } from './store.js';

/*
 * The records of one directory. Below `driblet!directory!KEY!`:
 *
 *   head                    the newest directory version, and the one before, as JSON
 *   manifest!VERSION        the manifest of a directory version
 *   pack!ID!NUMBER          a table: what a finished part brought into a pack, and where it lies there
 *   pin!NAME                a directory version that is kept as well, as JSON
 *   policies!VERSION        the headers with policies that documents of a version get, as JSON
 */

const ALL = 'driblet!directory!';
/** The character after `!`: ends a range of keys that begin with something and `!`. */
const AFTER = '"';
/** Digits of a table's number, so that keys sort in the order of the tables. */
const DIGITS = 6;

/** Bytes of a version. */
export const VERSION = 32;
/** Bytes of an entry of a table: a version, and two numbers of 64 bits, its offset and its length. */
const ENTRY = VERSION + 16;
/** How many versions become text in one call. */
const TOGETHER = 256;

/** The newest version of a directory. */
export interface DirectoryHead {
  readonly version: string;
  /** Bytes of all its files. */
  readonly length: number;
  readonly files: number;
  /** The version before. */
  readonly before?: string | undefined;
  /** When it was stored and last used, in milliseconds since 1970 by this machine's clock. */
  readonly stored: number;
  readonly used: number;
}

/** A directory version that is kept although it is not the newest. */
export interface Pin {
  readonly version: string;
  /** Until when, in milliseconds since 1970. Undefined: for as long as the pin is there. */
  readonly until?: number;
}

/** Where a file version lies. */
export interface Place {
  readonly pack: string;
  readonly at: number;
  readonly length: number;
}

/** A file version in a pack. `id` is the version as {@link idsIn} gives it. */
export interface Stored extends Place {
  readonly id: string;
}

/** The table of a pack: what one part brought. */
export interface Table {
  /** Its key. */
  readonly record: string;
  readonly pack: string;
  readonly files: Stored[];
}

/** The file versions that a directory holds, and where. */
export interface Holdings {
  readonly tables: readonly Table[];
  readonly places: ReadonlyMap<string, Place>;
}

/** The same, with the packs, which are open. */
export interface Present extends Holdings {
  readonly packs: ReadonlyMap<string, Pack>;
}

/** The records of a directory. */
export interface DirectoryRecords {
  head(): Promise<DirectoryHead | undefined>;
  manifest(version: string): Promise<Uint8Array | undefined>;
  /** The versions whose files are kept: the head, the one before, and those that are pinned. */
  kept(): Promise<string[]>;
  /** All pins, by their names. */
  pins(): Promise<Map<string, Pin>>;
  /** Adds or replaces pins; `undefined` removes one. */
  setPins(pins: Iterable<readonly [name: string, pin: Pin | undefined]>): Promise<void>;
  /** The headers that are stored with a version. */
  policies(version: string): Promise<[string, string][] | undefined>;
  setPolicies(version: string, policies: readonly [string, string][]): Promise<void>;
  /** The versions that have a manifest. */
  manifests(): Promise<string[]>;
  holdings(): Promise<Holdings>;
  /** Writes the table of a pack. */
  addTable(pack: string, number: number, files: readonly Stored[]): Promise<void>;
  /** Makes a version the head, in one step. All its files must be in tables. */
  setHead(head: DirectoryHead, manifest: Uint8Array): Promise<void>;
  /** Records that the head was used now. */
  noteUse(head: DirectoryHead): Promise<void>;
  change(changes: readonly RecordChange[]): Promise<void>;
  /** The keys of what is stored of a version besides its files, for `change`. */
  keysOf(version: string): string[];
  /** Replaces tables by that of a new pack, in one step. */
  moveFiles(pack: string, files: readonly Stored[], from: readonly Table[]): Promise<void>;
  /** Removes tables' entries that `keep` refuses. */
  filter(keep: (file: Stored) => boolean): Promise<void>;
  /** All keys. */
  keys(): Promise<string[]>;
}

/** The records of the directory with this key. `makeRoom` is called if the disk is full. */
export function recordsOf(records: Records, key: string, makeRoom: MakeRoom = async () => false): DirectoryRecords {
  const own = prefixOf(key);
  const packs = `${own}pack!`;
  const below = (prefix: string) => records.keys(prefix, `${prefix.slice(0, -1)}${AFTER}`);
  const change = (changes: readonly RecordChange[]) => inRoom(makeRoom, () => records.change(changes));
  const manifestKey = (version: string) => `${own}manifest!${version}`;
  const tableKey = (pack: string, number: number) => `${packs}${pack}!${String(number).padStart(DIGITS, '0')}`;
  const pinKey = (name: string) => `${own}pin!${encodeURIComponent(name)}`;
  const policiesKey = (version: string) => `${own}policies!${version}`;
  const withHead = (head: DirectoryHead): RecordChange => [`${own}head`, json(head)];

  async function head(): Promise<DirectoryHead | undefined> {
    const [found] = await records.values([`${own}head`]);
    return headIn(found);
  }

  async function allPins(): Promise<Map<string, Pin>> {
    const names = await below(`${own}pin!`);
    const values = await records.values(names);
    const pins = names.map(
      (name, at) => [decodeURIComponent(name.slice(pinKey('').length)), parsed(values[at])] as const,
    );
    return new Map(
      pins.filter((each): each is [string, Pin] => typeof (each[1] as Pin | undefined)?.version === 'string'),
    );
  }

  /** The tables that were read. One that loses entries has another length. */
  const known = new Map<string, Table>();

  async function tables(): Promise<Table[]> {
    const names = await below(packs);
    const values = await records.values(names);
    return names.map((record, at) => {
      const bytes = values[at] ?? new Uint8Array();
      const before = known.get(record);
      if (before && before.files.length * ENTRY === bytes.length) return before;
      const pack = packIn(record);
      const table = { record, pack, files: filesIn(bytes, pack) };
      known.set(record, table);
      return table;
    });
  }

  return {
    head,
    manifest: async (version) => (await records.values([manifestKey(version)]))[0],

    async kept() {
      const [newest, pins] = await Promise.all([head(), allPins()]);
      const now = Date.now();
      const pinned = [...pins.values()].filter(({ until = Infinity }) => now < until).map(({ version }) => version);
      const all = [newest?.version, newest?.before, ...pinned];
      return [...new Set(all.filter((version): version is string => typeof version === 'string'))];
    },

    pins: allPins,
    setPins: (pins) => change([...pins].map(([name, pin]) => [pinKey(name), pin && json(pin)])),

    async policies(version) {
      const [found] = await records.values([policiesKey(version)]);
      const policies = parsed(found);
      return Array.isArray(policies) ? (policies as [string, string][]) : undefined;
    },

    setPolicies: (version, policies) => change([[policiesKey(version), json(policies)]]),

    manifests: async () => (await below(`${own}manifest!`)).map((key) => key.slice(key.lastIndexOf('!') + 1)),

    async holdings() {
      const all = await tables();
      const places = new Map<string, Place>();
      for (const { files } of all) for (const file of files) places.set(file.id, file);
      return { tables: all, places };
    },

    addTable: (pack, number, files) => change([[tableKey(pack, number), tableOf(files)]]),

    moveFiles: (pack, files, from) =>
      change([
        ...from.map(({ record }): RecordChange => [record, undefined]),
        ...(files.length === 0 ? [] : [[tableKey(pack, 0), tableOf(files)] as const]),
      ]),

    setHead: (head, manifest) => change([[manifestKey(head.version), manifest], withHead(head)]),
    noteUse: (head) => records.change([withHead({ ...head, used: Date.now() })]),
    change,
    keysOf: (version) => [manifestKey(version), policiesKey(version)],

    async filter(keep) {
      const changes = (await tables()).flatMap(({ record, files }): RecordChange[] => {
        const left = files.filter(keep);
        return left.length < files.length ? [[record, left.length === 0 ? undefined : tableOf(left)]] : [];
      });
      if (0 < changes.length) await records.change(changes);
    },

    keys: () => below(own),
  };
}

/** The keys of all directories of a store, with their heads. */
export async function allHeads(records: Records): Promise<Map<string, DirectoryHead | undefined>> {
  const names = await records.keys(ALL, `${ALL.slice(0, -1)}${AFTER}`);
  const found = new Map<string, DirectoryHead | undefined>(names.map((name) => [keyIn(name), undefined]));
  const heads = names.filter((name) => name.endsWith('!head'));
  const values = await records.values(heads);
  heads.forEach((name, at) => found.set(keyIn(name), headIn(values[at])));
  return found;
}

/** The ids of all packs that a table of any directory of a store names. */
export async function namedPacks(records: Records): Promise<Set<string>> {
  const names = await records.keys(ALL, `${ALL.slice(0, -1)}${AFTER}`);
  return new Set(names.filter((name) => name.slice(ALL.length).split('!')[1] === 'pack').map(packIn));
}

/** Versions as short texts: one character for each byte. */
export function idsIn(versions: Uint8Array): string[] {
  const ids: string[] = [];
  for (let start = 0; start < versions.length; start += TOGETHER * VERSION) {
    // One call for many: each costs more than a few bytes.
    const bytes = versions.subarray(start, start + TOGETHER * VERSION);
    const text = String.fromCharCode.apply(null, bytes as unknown as number[]);
    for (let at = 0; at < text.length; at += VERSION) ids.push(text.slice(at, at + VERSION));
  }
  return ids;
}

/** A version from its short text, as 64 hex digits. */
export function hexOf(id: string): string {
  return Array.from(id, (letter) => letter.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}

function prefixOf(key: string): string {
  return `${ALL}${encodeURIComponent(key).replaceAll('!', '%21')}!`;
}

/** The directory's key in the key of a record. */
function keyIn(record: string): string {
  return decodeURIComponent(record.slice(ALL.length).split('!')[0]!);
}

function packIn(record: string): string {
  return record.split('!').at(-2)!;
}

/** A table as bytes: all versions, then all offsets and lengths. */
function tableOf(files: readonly Stored[]): Uint8Array {
  const table = new Uint8Array(files.length * ENTRY);
  const numbers = new DataView(table.buffer, files.length * VERSION);
  files.forEach(({ id, at, length }, index) => {
    for (let place = 0; place < VERSION; place += 1) table[index * VERSION + place] = id.charCodeAt(place);
    numbers.setFloat64(index * 16, at);
    numbers.setFloat64(index * 16 + 8, length);
  });
  return table;
}

/** The files of a table. A damaged table counts as none, or names files whose bytes are refused when they are read. */
function filesIn(table: Uint8Array, pack: string): Stored[] {
  const count = Math.floor(table.length / ENTRY);
  const numbers = new DataView(table.buffer, table.byteOffset + count * VERSION);
  return idsIn(table.subarray(0, count * VERSION)).map((id, index) => ({
    id,
    pack,
    at: numbers.getFloat64(index * 16),
    length: numbers.getFloat64(index * 16 + 8),
  }));
}

function headIn(value: Uint8Array | undefined): DirectoryHead | undefined {
  const head = parsed(value) as Partial<DirectoryHead> | undefined;
  return typeof head?.version === 'string' && Number.isSafeInteger(head.length) ? (head as DirectoryHead) : undefined;
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** The value of a record; undefined if it is missing or damaged. */
function parsed(value: Uint8Array | undefined): unknown {
  try {
    return value && JSON.parse(new TextDecoder().decode(value));
  } catch {
    return undefined;
  }
}
