import { CHECK, isReady, isServes } from '../shared/reload.js';
import { importLive } from '../spawn.js';
import type { Serves } from '../shared/reload.js';

/** Options of {@link reloadWhenReady}. */
export interface ReloadOptions {
  /** Called once with the newer version, in place of a reload. */
  onReady?: (version: string) => void;
  /**
   * Milliseconds between two questions to the server while the page is visible, besides the live stream. Default: 60,000.
   */
  interval?: number;
  /** Ends it. */
  signal?: AbortSignal;
}

/**
 * Reloads the page once its service worker has stored a newer version of the directory that the page was loaded from. The
 * service worker asks the server when a live stream tells of a new version; and now, whenever the page becomes visible, and
 * each `interval` while it is visible. The version is fetched completely before the page is told. Does nothing in a page without a service worker.
 *
 * @example
 * reloadWhenReady({ onReady: () => (document.querySelector('#update').hidden = false) });
 */
export function reloadWhenReady({
  onReady = () => location.reload(),
  interval = 60_000,
  signal,
}: ReloadOptions = {}): void {
  const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (!container || signal?.aborted) return;
  const ask = () => {
    if (document.visibilityState === 'visible') container.controller?.postMessage(CHECK);
  };
  const following = new AbortController();
  let isFollowing = false;
  const follow = async ({ url, headers, credentials }: Serves) => {
    if (isFollowing) return;
    isFollowing = true;
    // The questions go on if the stream cannot.
    const { followHeads } = await importLive();
    await followHeads({ url, headers, credentials }, url, ask, following.signal);
  };
  const listen = ({ data }: MessageEvent) => {
    if (isServes(data)) follow(data).catch(() => {});
    if (!isReady(data)) return;
    stop();
    onReady(data.version);
  };
  const timer = setInterval(ask, interval);
  const stop = () => {
    clearInterval(timer);
    following.abort();
    container.removeEventListener('message', listen);
    container.removeEventListener('controllerchange', ask);
    document.removeEventListener('visibilitychange', ask);
  };
  container.addEventListener('message', listen);
  container.addEventListener('controllerchange', ask);
  document.addEventListener('visibilitychange', ask);
  signal?.addEventListener('abort', stop, { once: true });
  container.startMessages();
  ask();
}
