import { directoryCore } from '../directory/core.js';
import { openVersion } from '../directory/reading.js';
import { openerOf } from '../directory/opening.js';
import { directoryEntries } from '../stores/directories/entries.js';
import { recordsOf } from '../stores/directories/holdings.js';
import type { DirectoryJob } from '../directory/messages.js';
import type { DirectoryReader } from '../directory/reading.js';
import type { DirectoryRecords } from '../stores/directories/holdings.js';

/** The stored versions of a directory, as a service worker reads them. */
export interface Versions {
  readonly records: DirectoryRecords;
  /** Opens a version; undefined if it is not stored. It stays open until it is not kept any more. */
  open(version: string): Promise<DirectoryReader | undefined>;
  /** Reads a file. Its version stays open until the stream ends. */
  read(reader: DirectoryReader, index: number, start: number, end: number): Promise<BodyInit>;
  /** Closes a version, so that the next call opens it anew. */
  close(version: string): void;
  /** Closes the versions that are not kept any more. */
  closeOld(): Promise<void>;
  /** Deletes all versions. */
  remove(): Promise<void>;
}

/** Opens the store of a directory. */
export async function openVersions(job: DirectoryJob): Promise<Versions> {
  const { store } = await openerOf(job, new AbortController().signal)();
  const records = recordsOf(store.records, job.key);
  const core = directoryCore(job.wasmUrl);
  core.catch(() => {}); // Who reads a version gets the error.
  const readers = new Map<string, Promise<DirectoryReader | undefined>>();
  /** How many streams read each version. */
  const streams = new Map<string, number>();

  function close(version: string): void {
    const release = (reader: DirectoryReader | undefined) => reader?.release();
    readers.get(version)?.then(release, () => {});
    readers.delete(version);
  }

  function count(version: string, more: number): void {
    streams.set(version, (streams.get(version) ?? 0) + more);
  }

  return {
    records,
    async open(version) {
      const opening = readers.get(version) ?? openVersion(store, job.key, version, core);
      readers.set(version, opening);
      const reader = await opening.catch((error) => {
        readers.delete(version);
        throw error;
      });
      if (!reader) readers.delete(version);
      return reader;
    },
    async read(reader, index, start, end) {
      const content = await reader.read(index);
      if (!(content instanceof Blob)) return content.subarray(start, end);
      count(reader.version, 1);
      return streamOf(content.slice(start, end), () => count(reader.version, -1));
    },
    close,
    async closeOld() {
      const kept = await records.kept();
      for (const version of readers.keys()) if (!kept.includes(version) && !streams.get(version)) close(version);
    },
    async remove() {
      for (const version of readers.keys()) close(version);
      await (await directoryEntries(store)).find(({ key }) => key === job.key)?.delete();
    },
  };
}

/** Streams a blob, and calls `done` at the end. */
function streamOf(blob: Blob, done: () => void): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = blob.stream().getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { value, done: isEnd } = await reader.read();
        if (!isEnd) return controller.enqueue(value);
        controller.close();
        done();
      } catch (error) {
        done();
        throw error;
      }
    },
    cancel(reason) {
      done();
      return reader.cancel(reason);
    },
  });
}
