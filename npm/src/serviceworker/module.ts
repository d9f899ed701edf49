/*
 * The wasm module, kept for a worker that starts without a network. It is fetched anew with each new script of the
 * worker, which may need another one.
 */

const CACHE = 'driblet service worker';

/** The modules that were asked for since the worker started. */
const asked = new Set<string>();

/** The response with the module: the kept one; if that did not load, or if there is none, the network's. */
export async function keptModule(request: Request): Promise<Response> {
  const { url } = request;
  const isFirst = !asked.has(url);
  asked.add(url);
  const kept = isFirst ? await caches.match(url, { cacheName: CACHE }).catch(() => undefined) : undefined;
  return kept ?? fetchModule(request);
}

/** Fetches the module and keeps it. */
export async function fetchModule(request: Request): Promise<Response> {
  const response = await fetch(request, { cache: 'no-cache' });
  const kept = response.clone();
  if (response.ok)
    await caches
      .open(CACHE)
      .then((cache) => cache.put(request.url, kept))
      .catch(() => {}); // It works without.
  return response;
}

/** Deletes what is kept. */
export async function forgetModule(): Promise<void> {
  await caches.delete(CACHE).catch(() => false);
}
