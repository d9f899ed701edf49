import { check } from '../shared/check.js';
import { mediaTypeOf, typeOf, urlOfPath } from '../shared/mediaType.js';
import { now } from '../shared/clock.js';
import { sendClose, sendRead } from './directoryClient.js';
import { askToPersist } from './persist.js';
import type { DirectoryCost, SyncedDirectory } from '../directory/messages.js';

/**
 * A synced directory: one version of it, whose files were published together. All bytes that it returns are verified. If
 * stored bytes were changed or removed meanwhile, reading rejects with a `SyncError` of code `store`; sync again to
 * fetch them anew.
 *
 * Paths are relative to the directory, with `/` between their parts: `assets/app.js`. Reading a path that the version
 * does not have rejects with a `NotFoundError`.
 *
 * @example
 * const app = await syncDirectory('/app/');
 * const { name } = JSON.parse(await (await app.file('manifest.json')).text());
 */
export interface Directory extends Disposable, AsyncDisposable {
  /** The directory version: the BLAKE3 hash of its manifest, 64 hex digits. */
  readonly version: string;
  /** Bytes of all files. */
  readonly length: number;
  /** What the sync transferred, and how long it took. */
  readonly cost: DirectoryCost;
  /** Why new files are in memory only; undefined if they are stored. */
  readonly warning: string | undefined;
  /** Resolves to `true` if the store has the version, and to `false` if it is in memory only. It never rejects. */
  readonly stored: Promise<boolean>;
  /**
   * Resolves to whether the browser has promised not to delete the origin's data when the disk is full. A page asks for
   * that once, when it has stored more than 10 MiB; some browsers then ask the user. It never rejects.
   */
  readonly persisted: Promise<boolean>;
  /** All paths, in the order of the manifest. */
  paths(): string[];
  /** Whether there is a file at a path. */
  has(path: string): boolean;
  /**
   * A file as a blob, which may stay on the disk. A long one can be read until the directory is closed.
   *
   * @param type - media type. Default: the type of the path's extension.
   */
  file(path: string, type?: string): Promise<Blob>;
  /** All bytes of a file. */
  bytes(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Streams a file. The directory stays readable until the stream ends, even if it is closed meanwhile. */
  stream(path: string): ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * A response with a file as body, and with content-length, the file's media type, and the directory's version as ETag.
   *
   * @param init - status and headers to add or replace. Default: status 200.
   */
  response(path: string, init?: ResponseInit): Response;
  /** Lets the store delete the version once there are newer ones. A directory that is garbage-collected closes itself. */
  close(): void;
}

const collected = new FinalizationRegistry(sendClose);

/** Creates the directory of a finished sync. */
export function directoryOf(url: string, synced: SyncedDirectory, started: number): Directory {
  const { handle: id, version, lengths, warning } = synced;
  // Long lists are made when they are first used: the page's thread has other work when a sync ends.
  let paths: string[] | undefined;
  let indices: ReadonlyMap<string, number> | undefined;
  const length = lengths.reduce((sum, each) => sum + each, 0);
  let streams = 0;
  let isClosed = false;

  function allPaths(): string[] {
    return (paths ??= synced.paths.split('\0').slice(0, -1));
  }

  function find(path: string): number | undefined {
    indices ??= new Map(allPaths().map((each, index) => [each, index]));
    return indices.get(path);
  }

  function indexOf(path: string): number {
    check(typeof path === 'string', 'a path', 'a string', path);
    const index = find(path);
    if (index === undefined)
      throw new DOMException(`${url} has no file ${path} in version ${version}`, 'NotFoundError');
    return index;
  }

  function end(): void {
    if (isClosed && streams === 0) sendClose(id);
  }

  const directory = {
    version,
    length,
    warning,
    cost: costOf(synced, started),
    stored: Promise.resolve(warning === undefined),
    persisted: askToPersist(warning === undefined ? length : 0),
    paths: () => [...allPaths()],
    has: (path: string) => find(path) !== undefined,
    async file(path: string, type = mediaTypeOf(urlOfPath(path))) {
      return new Blob([await sendRead(id, { index: indexOf(path), isWhole: false })], { type });
    },
    async bytes(path: string) {
      return new Uint8Array((await sendRead(id, { index: indexOf(path), isWhole: true })) as ArrayBuffer);
    },
    stream(path: string) {
      const index = indexOf(path);
      let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
      let isOpen = true;
      streams += 1;
      const done = () => {
        if (isOpen) streams -= 1;
        isOpen = false;
        end();
      };
      return new ReadableStream<Uint8Array<ArrayBuffer>>(
        {
          async pull(controller) {
            try {
              reader ??= new Blob([await sendRead(id, { index, isWhole: false })]).stream().getReader();
              const read = await reader.read();
              if (!read.done) return controller.enqueue(read.value);
              controller.close();
              done();
            } catch (error) {
              done();
              throw error;
            }
            void directory; // The directory stays while it is streamed.
          },
          cancel(reason) {
            done();
            return reader?.cancel(reason);
          },
        },
        { highWaterMark: 0 },
      );
    },
    response(path: string, init?: ResponseInit) {
      const headers = new Headers({
        'content-length': String(lengths[indexOf(path)]),
        'content-type': typeOf(urlOfPath(path)),
        etag: `"${version}"`,
      });
      new Headers(init?.headers).forEach((value, name) => headers.set(name, value));
      return new Response(directory.stream(path), { ...init, headers });
    },
    close() {
      collected.unregister(directory);
      isClosed = true;
      end();
    },
  } satisfies Omit<Directory, keyof Disposable | keyof AsyncDisposable> as Directory;
  collected.register(directory, id, directory);
  const { dispose, asyncDispose } = Symbol as Partial<SymbolConstructor>;
  if (dispose) directory[dispose] = directory.close;
  if (asyncDispose) directory[asyncDispose] = async () => directory.close();
  return directory;
}

function costOf({ cost, opened, answered = opened }: SyncedDirectory, started: number): DirectoryCost {
  const elapsed = now() - started;
  const open = opened - started;
  const answer = Math.max(0, answered - opened);
  return { ...cost, elapsed, times: { open, answer, apply: elapsed - open - answer } };
}
