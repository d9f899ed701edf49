import { Manifest } from './core.js';
import { VERSION, hexOf, idsIn } from '../stores/directories/holdings.js';

/** The version of the empty file, which no pack has. */
const EMPTY = 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'.replace(/../g, (digits) =>
  String.fromCharCode(parseInt(digits, 16)),
);

/** The files of a directory version, in the order of its manifest. */
export interface Listing {
  readonly count: number;
  /** All paths, with a NUL after each. */
  readonly paths: string;
  /** Lengths in bytes. */
  readonly lengths: Float64Array<ArrayBuffer>;
  /** Bytes of all files together. */
  readonly length: number;
  /** The version of a file as a short text; see `idsIn`. */
  id(index: number): string;
  /** The version of a file as 64 hex digits. */
  version(index: number): string;
  /** The index of the file at a path; undefined if there is none. */
  find(path: string): number | undefined;
  pathAt(index: number): string;
}

/** Whether a version is that of the empty file. */
export function isEmpty(id: string): boolean {
  return id === EMPTY;
}

/** The listing of a manifest, which is not freed. */
export function listingOf(manifest: Manifest): Listing {
  const { paths, versions } = manifest;
  const lengths = manifest.lengths as Float64Array<ArrayBuffer>;
  let split: string[] | undefined;
  let ids: string[] | undefined;
  let indices: Map<string, number> | undefined;
  const all = () => (split ??= paths.split('\0'));
  const id = (index: number) => (ids ??= idsIn(versions))[index] ?? '';
  return {
    count: versions.length / VERSION,
    paths,
    lengths,
    length: lengths.reduce((sum, length) => sum + length, 0),
    id,
    version: (index) => hexOf(id(index)),
    find(path) {
      indices ??= new Map(all().map((each, index) => [each, index]));
      return path === '' ? undefined : indices.get(path);
    },
    pathAt: (index) => all()[index] ?? '',
  };
}

/** The listing of a stored manifest; undefined if the bytes are not those of that directory version. */
export function storedListing(version: string, bytes: Uint8Array | undefined): Listing | undefined {
  if (!bytes) return undefined;
  let manifest: Manifest | undefined;
  try {
    manifest = Manifest.parse(bytes, Infinity);
    return manifest.version === version ? listingOf(manifest) : undefined;
  } catch {
    return undefined; // Damaged.
  } finally {
    manifest?.free();
  }
}
