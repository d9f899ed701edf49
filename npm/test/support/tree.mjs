// Directories that tests publish, and what a receiver must then have.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { inputOf } from './vectors.mjs';
import { versionOf } from './version.mjs';

/** Bytes that look random: the same for the same seed. */
export function randomBytes(seed, length) {
  return inputOf({ random: String(seed), len: length });
}

/** A folder that is published as a snapshot, below a server's root. */
export function treeIn(server, name) {
  const root = join(server.root, name);
  let isLong = false;
  mkdirSync(root, { recursive: true });
  return {
    root,
    path: `/${name}/`,
    write(path, bytes) {
      isLong ||= 1_000_000 < bytes.length;
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), bytes);
    },
    remove: (path) => rmSync(join(root, path), { recursive: true }),
    move: (from, to) => renameSync(join(root, from), join(root, to)),
    /** Publishes what is in the folder now. The server may need several looks to see the last changes. */
    async publish() {
      if (isLong) return server.snapshot(name); // This BLAKE3 is slow, and idle connections would be closed meanwhile.
      const version = versionOf(manifestOf(root));
      for (let tries = 0; tries < 200; tries += 1) {
        if ((await server.snapshot(name)).includes(version)) return undefined;
      }
      throw new Error(`${name} was never published as ${version}`);
    },
    /** The SHA-256 of each file, by its path. */
    digests() {
      const digest = (path) =>
        createHash('sha256')
          .update(readFileSync(join(root, path)))
          .digest('hex');
      return Object.fromEntries(
        pathsIn(root)
          .sort()
          .map((path) => [path, digest(path)]),
      );
    },
  };
}

/** The paths of the files in a folder. */
function pathsIn(root) {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)));
}

/** A folder's manifest, made by spec/directory.md. */
export function manifestOf(root) {
  const order = (path) => path.replaceAll('/', '\0');
  const paths = pathsIn(root).sort((a, b) => Buffer.compare(Buffer.from(order(a)), Buffer.from(order(b))));
  const files = paths.map((path) => readFileSync(join(root, path)));
  let before = Buffer.alloc(0);
  const named = paths.flatMap((path) => {
    const bytes = Buffer.from(path);
    let shared = 0;
    while (shared < Math.min(before.length, bytes.length) && before[shared] === bytes[shared]) shared += 1;
    before = bytes;
    return [varint(shared), varint(bytes.length - shared), bytes.subarray(shared)];
  });
  const versions = files.map((bytes) => Buffer.from(versionOf(bytes), 'hex'));
  const lengths = files.map(({ length }) => varint(length));
  return Buffer.concat([
    Buffer.from([0xda, 1]),
    varint(files.length),
    ...named,
    Buffer.alloc(files.length),
    ...lengths,
    ...versions,
  ]);
}

/** An unsigned number in LEB128. */
function varint(value) {
  const bytes = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) + 128);
  }
}

/** Writes a small site: files of some kilobytes in folders, an empty one, and two with the same bytes. */
export function writeSite(tree, seed = 1) {
  for (let number = 0; number < 40; number += 1)
    tree.write(`assets/chunk-${number}.js`, `// ${number}\n${randomBytes(seed * 1000 + number, 2000).toString('hex')}`);
  tree.write('index.html', `<!doctype html><title>${seed}</title>`);
  tree.write('empty.txt', '');
  tree.write('copy/chunk-0.js', `// 0\n${randomBytes(seed * 1000, 2000).toString('hex')}`);
}

/** How many files {@link writeLong} writes, each of which is long enough to be half of a part. */
export const LONG_FILES = 6;

/** Writes a directory with several parts, whose deltas are short. */
export function writeLong(tree, seed = 1) {
  for (let number = 0; number < LONG_FILES; number += 1)
    tree.write(`part-${number}.bin`, Buffer.alloc(9_000_000, `${seed} ${number} `));
}
