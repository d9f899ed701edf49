import { check, checkMaxBytes, checkTimeout } from '../shared/check.js';
import { sendSync } from './client.js';
import { note } from './prefetch.js';
import { now } from '../shared/clock.js';
import { handleOf } from './handle.js';
import type { Handle } from './handle.js';
import type { SyncOptions } from './options.js';
import type { JobOptions } from '../shared/messages.js';
import type { Store } from '../stores/store.js';

/*
 * From what a caller says to what the engine is told. Everything is checked here, and copied: what crosses to the worker is plain text, numbers
 * and objects, whatever proxies (of Vue, MobX and others) the options are behind.
 */

/** The page's default store. */
export const DEFAULT: Store = { kind: 'browser', name: 'driblet' };

/** Describes a sync; throws a TypeError where an option is not what it must be. */
export function jobOf(given: string | URL, options: SyncOptions): JobOptions {
  const { store = DEFAULT, headers, credentials = 'same-origin', version, maxBytes = 2 ** 32, timeout = 30_000, scope, wasmUrl, onProgress, signal } = options;
  const [url, authorization] = urlOf(given);
  check(/^[^:]+:\/./.test(url), 'a URL', 'one with a path, as http: and https: have it', url.split(':', 1)[0]);
  check(version === undefined || /^[0-9a-f]{64}$/.test(`${version}`), 'version', '64 lower-case hex digits', version);
  check(scope === undefined || (typeof scope === 'string' && !/\p{Surrogate}/u.test(scope)), 'scope', 'a string of whole characters', scope);
  check(['omit', 'same-origin', 'include'].includes(credentials), 'credentials', "'omit', 'same-origin' or 'include'", credentials);
  check(onProgress === undefined || typeof onProgress === 'function', 'onProgress', 'a function', onProgress);
  check(signal === undefined || typeof signal?.addEventListener === 'function', 'signal', 'an AbortSignal', signal);
  const sent = new Headers(headers);
  if (authorization && !sent.has('authorization')) sent.set('authorization', authorization);
  return {
    url,
    // No URL has a line break in it, so nothing else has this key.
    key: scope === undefined ? url : `${url}\n${scope}`,
    store: storeOf(store),
    headers: [...sent],
    credentials,
    version: version && `${version}`,
    maxBytes: checkMaxBytes(maxBytes),
    timeout: checkTimeout(timeout),
    wasmUrl: wasmUrl === undefined ? undefined : urlOf(wasmUrl)[0],
  };
}

/** Carries a sync out, and notes what is stored then. */
export async function syncJob(job: JobOptions, options: SyncOptions): Promise<Handle> {
  const started = now();
  options.signal?.throwIfAborted();
  try {
    const handle = handleOf(job.url, await sendSync(job, options), started);
    void handle.stored.then(() => note(job, handle.warning === undefined ? handle.version : undefined));
    return handle;
  } catch (error) {
    note(job);
    throw error;
  }
}

/** A store as it can be sent to a worker. */
export function storeOf(store: Store): Store {
  check(typeof store?.kind === 'string' && typeof store.name === 'string', 'store', 'what browserStore(), memoryStore() or another of them gives', store);
  return { kind: store.kind, name: store.name };
}

/**
 * A URL as `fetch` takes it, without fragment, user and password; and what tells the server of these. Nothing else ever hears of a password: no
 * store, lock, error or other server.
 */
function urlOf(given: string | URL): [href: string, authorization?: string] {
  check(typeof given === 'string' || typeof given?.href === 'string', 'a URL', 'a string or a URL', given);
  let url: URL;
  try {
    url = new URL(given, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    // What the platform says may have the password in it.
    throw new TypeError(`a URL must be valid${globalThis.location ? '' : ', and in Node it must be absolute'}; ${/@/.test(`${given}`) ? 'the one given' : given} is not`);
  }
  const { username, password } = url;
  url.hash = url.username = url.password = '';
  return username || password ? [url.href, `Basic ${btoa(`${decoded(username)}:${decoded(password)}`)}`] : [url.href];
}

/** The bytes of a URL's user or password, a letter for each; what is no ASCII is UTF-8 in there. */
function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
