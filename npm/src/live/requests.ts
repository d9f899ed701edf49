import { SyncError } from '../shared/error.js';
import { resource } from '../shared/resource.js';
import { rejection } from './rest.js';

/** How an asset is asked for. */
export interface LiveTarget {
  readonly url: string;
  readonly headers: [string, string][];
  readonly credentials: RequestCredentials;
  /** Returns other headers after the server refused the present ones. */
  readonly renewHeaders?: (() => HeadersInit | Promise<HeadersInit>) | undefined;
}

/** The requests for an asset. */
export interface Requests {
  readonly url: string;
  /** The headers that the server accepted last. */
  readonly headers: [string, string][];
  /** Requests a sync resource. Rejects with a {@link SyncError} if the server refuses the credentials. */
  ask(name: string, accept: string, signal: AbortSignal, since?: string): Promise<Response>;
}

/** Statuses with which a server refuses the credentials of a request. */
const REFUSED = [401, 403];

export function requestsOf({ url, headers: first, credentials, renewHeaders }: LiveTarget): Requests {
  let headers = first;

  function send(name: string, accept: string, signal: AbortSignal, since: string | undefined): Promise<Response> {
    const sent = new Headers(headers);
    sent.set('accept', accept);
    const asked = resource(url, name);
    if (since !== undefined) asked.searchParams.set('since', since);
    const response = fetch(asked, { headers: sent, credentials, cache: 'no-store', signal });
    // A page that is about to be frozen must let go at once.
    return Promise.race([response, rejection(signal)]);
  }

  return {
    url,
    get headers() {
      return headers;
    },
    async ask(name, accept, signal, since) {
      let response = await send(name, accept, signal, since);
      if (REFUSED.includes(response.status) && renewHeaders) {
        response.body?.cancel().catch(() => {});
        headers = [...new Headers(await Promise.race([renewHeaders(), rejection(signal)]))];
        response = await send(name, accept, signal, since);
      }
      const { status } = response;
      if (!REFUSED.includes(status)) return response;
      response.body?.cancel().catch(() => {});
      const what = status === 401 ? 'needs other credentials' : 'forbids the request';
      throw new SyncError(
        'protocol',
        `the server ${what} (status ${status}); renewHeaders can return new headers for ${new URL(url).pathname}`,
      );
    },
  };
}
