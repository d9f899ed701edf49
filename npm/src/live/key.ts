import type { JobOptions } from '../shared/messages.js';

/**
 * Names what tabs share: the asset, the scope, the store, and the credentials. Undefined if they share nothing: the store
 * is in memory, or only this thread can open it.
 */
export async function sharedKey({
  key,
  store,
  credentials,
  headers,
  openers,
}: KeyOptions): Promise<string | undefined> {
  if (store.kind === 'memory' || openers) return undefined;
  // Tabs can see the names of each other's locks, but not the headers.
  const hash =
    globalThis.crypto?.subtle &&
    (await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(headers))));
  const digits = hash && [...new Uint8Array(hash, 0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${store.kind} ${store.name} ${key} ${credentials} ${digits ?? ''}`;
}

/** The members of a job that the key depends on. */
type KeyOptions = Pick<JobOptions, 'key' | 'store' | 'credentials' | 'headers'> & { readonly openers?: unknown };
