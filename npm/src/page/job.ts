import { check, checkMaxBytes, checkTimeout } from '../shared/check.js';
import { link } from './link.js';
import { settingsInUse } from './configure.js';
import { urlOf } from './url.js';
import type { SyncOptions } from './options.js';
import type { JobOptions } from '../shared/messages.js';
import type { LocalStore, Store } from '../stores/store.js';

/*
 * Turns a caller's options into a job for the engine. All options are checked and copied here, because they may be
 * proxies (of Vue, MobX and others), which cannot be sent to a worker. The functions of a `LocalStore` are not copied:
 * a job with such a store stays in this thread.
 */

/** The default store of a page. */
export const DEFAULT_STORE: Store = { kind: 'browser', name: 'driblet' };

/** Describes a sync. Throws a TypeError if an option is not valid. */
export function jobOf(given: string | URL, options: SyncOptions): JobOptions {
  const {
    store = DEFAULT_STORE,
    headers,
    credentials = 'same-origin',
    version,
    basis,
    maxBytes = 2 ** 32,
    timeout = 30_000,
    scope,
    onProgress,
    signal,
  } = options;
  const [url, authorization] = urlOf(given);
  check(/^[^:]+:\/./.test(url), 'a URL', 'a URL with a path, such as http: and https: URLs', url.split(':', 1)[0]);
  check(version === undefined || /^[0-9a-f]{64}$/.test(`${version}`), 'version', '64 lower-case hex digits', version);
  check(
    scope === undefined || (typeof scope === 'string' && !/\p{Surrogate}/u.test(scope)),
    'scope',
    'a string without lone surrogates',
    scope,
  );
  check(
    ['omit', 'same-origin', 'include'].includes(credentials),
    'credentials',
    "'omit', 'same-origin' or 'include'",
    credentials,
  );
  check(onProgress === undefined || typeof onProgress === 'function', 'onProgress', 'a function', onProgress);
  check(signal === undefined || typeof signal?.addEventListener === 'function', 'signal', 'an AbortSignal', signal);
  const sent = new Headers(headers);
  if (authorization && !sent.has('authorization')) sent.set('authorization', authorization);
  // URLs contain no line break, so these keys are unique.
  const keyOf = (url: string) => (scope === undefined ? url : `${url}\n${scope}`);
  const basisUrl = basis === undefined ? undefined : urlOf(basis)[0];
  return {
    url,
    key: keyOf(url),
    store: storeOf(store),
    openers: (store as Partial<LocalStore>).openers,
    headers: [...sent],
    credentials,
    version: version && `${version}`,
    basis: basisUrl === undefined ? undefined : { url: basisUrl, key: keyOf(basisUrl) },
    maxBytes: checkMaxBytes(maxBytes),
    timeout: checkTimeout(timeout),
    wasmUrl: settingsInUse().wasmUrl,
    codecsWasmUrl: settingsInUse().codecsWasmUrl,
    link: link(),
  };
}

/** A store in a form that can be sent to a worker. */
export function storeOf(store: Store): Store {
  check(
    typeof store?.kind === 'string' && typeof store.name === 'string',
    'store',
    'a store from browserStore(), memoryStore() or similar',
    store,
  );
  return { kind: store.kind, name: store.name };
}
