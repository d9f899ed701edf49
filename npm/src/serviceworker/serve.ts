import { check } from '../shared/check.js';
import { isServed } from '../shared/answer.js';
import { configure } from '../page/configure.js';
import { directoryJobOf } from '../page/directoryJob.js';
import { CHECK } from '../shared/reload.js';
import { servedDirectory } from './directory.js';
import { forgetModule } from './module.js';
import { worker } from './worker.js';
import type { DirectoryOptions } from '../page/directoryOptions.js';
import type { ServedDirectory } from './directory.js';

/* Answers the requests of pages from synced directories. */

/** Options of {@link serveDirectory}: those of `syncDirectory()`, and how requests are answered. */
export interface ServeDirectoryOptions extends Omit<DirectoryOptions, 'onProgress' | 'signal' | 'version'> {
  /**
   * The path at which pages find the directory's files, if it is another than the directory's own: with
   * `serveDirectory('/builds/web/', { at: '/' })` the page `/` is the file `index.html`.
   */
  at?: string | URL;
  /**
   * The file that answers navigations to paths without a file, such as `'index.html'` for an app that reads its URL
   * itself. Default: none; such navigations go to the network.
   */
  fallback?: string;
  /** The URL of driblet's wasm module. Default: beside this script. */
  wasmUrl?: string | URL;
}

const served: ServedDirectory[] = [];

/**
 * Answers the requests of pages from a directory, which is synced, stored and verified as by `syncDirectory()`: offline,
 * and with the files that a new release removed. Call it while the service worker's script starts.
 *
 * A page gets all its files from the version with which it was loaded, and so do its frames and workers. The newest
 * version is fetched while the old one serves, and the next navigation gets it. Paths that the version does not have go
 * to the network, and so do requests that change something.
 *
 * @example
 * importScripts('/.driblet/service-worker.js');
 * driblet.serveDirectory('/app/', { fallback: 'index.html' });
 */
export function serveDirectory(url: string | URL, options: ServeDirectoryOptions = {}): void {
  const { at, fallback, wasmUrl, ...common } = options;
  check(fallback === undefined || typeof fallback === 'string', 'fallback', "a path such as 'index.html'", fallback);
  if (wasmUrl !== undefined) configure({ directoryWasmUrl: wasmUrl });
  const job = directoryJobOf(url, common);
  const base = new URL(at ?? job.url, location.href);
  check(base.pathname.endsWith('/') && base.origin === location.origin, 'at', 'a path that ends in /', at);
  // Browsers take listeners only while the script starts.
  if (served.length === 0) listen();
  served.push(servedDirectory(job, base.href, fallback));
  served.sort((a, b) => b.base.length - a.base.length);
}

/** The directory that has a URL: the one with the longest path. */
function directoryAt(url: string): ServedDirectory | undefined {
  return served.find(({ base }) => url.startsWith(base));
}

function listen(): void {
  // Which version each page was loaded with is stored, so a new script can take over at any time.
  worker.addEventListener('install', (event) => {
    // A new script may need another module than the one before.
    event.waitUntil(Promise.all([worker.skipWaiting(), forgetModule()]));
  });
  worker.addEventListener('activate', (event) => {
    event.waitUntil(Promise.all([worker.clients.claim(), ...served.map((each) => each.update())]));
  });
  worker.addEventListener('fetch', (event) => {
    if (isServed(event.request)) directoryAt(event.request.url)?.respond(event);
  });
  worker.addEventListener('message', (event) => {
    const { data, source } = event;
    if (data !== CHECK || !source || !('url' in source)) return;
    const directory = directoryAt(source.url);
    directory?.introduce(source);
    if (directory) event.waitUntil(directory.update().then(() => directory.tell([source])));
  });
}
