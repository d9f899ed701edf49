import { answerTo, decodedPath } from '../shared/answer.js';
import { typeOf, urlOfPath } from '../shared/mediaType.js';
import { SyncError } from '../shared/error.js';
import { sendClose, sendSync } from '../page/directoryClient.js';
import { forgetModule } from './module.js';
import { clientPins } from './pins.js';
import { policiesIn } from './policies.js';
import { openVersions } from './versions.js';
import { worker } from './worker.js';
import type { DirectoryJob } from '../directory/messages.js';
import type { DirectoryReader } from '../directory/reading.js';
import type { Ready, Serves } from '../shared/reload.js';
import type { ClientPins } from './pins.js';
import type { Versions } from './versions.js';

/** A directory whose files are the answers to requests. */
export interface ServedDirectory {
  /** The URL below which it answers. */
  readonly base: string;
  /** Answers a request for a path below the base. */
  respond(event: FetchEvent): void;
  /** Fetches the newest version. Resolves when it is stored, or when the server cannot be reached; never rejects. */
  update(): Promise<void>;
  /** Tells a page which directory this is, so that the page follows it. */
  introduce(page: Client): void;
  /** Tells pages that were loaded with an older version than the newest stored one. */
  tell(pages: readonly Client[]): Promise<void>;
}

/** How long a page waits for the headers with its policies, in milliseconds, if none are stored. */
const POLICIES_WAIT = 3_000;

/** What is open while the worker runs. */
interface Opened {
  readonly versions: Versions;
  readonly pins: ClientPins;
}

/** Headers. */
type Policies = [string, string][];

/** A file of a version. */
interface Found {
  readonly reader: DirectoryReader;
  readonly index: number;
}

/** Serves the directory of a job at a URL. */
export function servedDirectory(job: DirectoryJob, base: string, fallback: string | undefined): ServedDirectory {
  /** The length of the path above the directory's own paths. */
  const above = decodedPath(new URL(base).pathname).length;
  let opening: Promise<Opened> | undefined;
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let isUnregistered = false;
  /** Whether stored files were lost, so that the newest version must be synced again. */
  let isDamaged = false;
  const policies = new Map<string, Promise<Policies>>();

  function open(): Promise<Opened> {
    opening ??= openVersions(job).then((versions) => ({ versions, pins: clientPins(versions.records) }));
    opening.catch(() => {
      opening = undefined; // The next request tries again.
    });
    return opening;
  }

  async function answer(event: FetchEvent): Promise<Response> {
    const { request } = event;
    let found: Found | Response | undefined;
    try {
      if (!isUnregistered) found = await find(await open(), event);
    } catch {
      // The directory cannot be opened.
    }
    if (found instanceof Response) return found;
    return found ? respondWith(request, found) : fetch(request);
  }

  /** The file for a request, or a redirection to it. Undefined if the network has to answer. */
  async function find({ versions, pins }: Opened, event: FetchEvent): Promise<Found | Response | undefined> {
    const { request, resultingClientId } = event;
    const isNavigation = request.mode === 'navigate';
    const pinned = await versionOf(pins, event);
    const candidates = pinned === undefined ? await newest(versions, isNavigation) : [pinned];
    const path = decodedPath(new URL(request.url).pathname).slice(above);
    for (const version of candidates) {
      const reader = await versions.open(version);
      if (!reader) continue;
      const { listing } = reader;
      const index = listing.find(path === '' || path.endsWith('/') ? `${path}index.html` : path);
      const isFolder = index === undefined && isNavigation && listing.find(`${path}/index.html`) !== undefined;
      if (isFolder) return Response.redirect(withSlash(request.url), 308);
      const instead = isNavigation && fallback !== undefined ? listing.find(fallback) : undefined;
      const chosen = index ?? instead;
      if (chosen === undefined) continue;
      if (resultingClientId !== '') await pins.set(resultingClientId, version);
      return { reader, index: chosen };
    }
    return undefined;
  }

  /** The version that a request must be answered from; undefined for new pages, and for those that nobody knows. */
  async function versionOf(pins: ClientPins, { request, clientId }: FetchEvent): Promise<string | undefined> {
    if (request.mode !== 'navigate') return clientId === '' ? undefined : pins.of(clientId);
    if (!['iframe', 'frame', 'embed', 'object'].includes(request.destination)) return undefined;
    // The request does not say which page has the frame. If pages of one URL have several versions, it is a new page.
    const pages = await worker.clients.matchAll({ type: 'window' });
    const parents = pages.filter(({ id, url }) => id !== clientId && withoutFragment(url) === request.referrer);
    const versions = new Set(await Promise.all(parents.map(({ id }) => pins.of(id))));
    return versions.size === 1 ? [...versions][0] : undefined;
  }

  async function respondWith(request: Request, { reader, index }: Found): Promise<Response> {
    const { listing, version } = reader;
    const etag = `"${listing.version(index)}"`;
    const type = typeOf(urlOfPath(listing.pathAt(index)));
    const { status, headers, range } = answerTo(request, { length: listing.lengths[index]!, etag, type });
    for (const [name, value] of await policiesOf(version)) headers.set(name, value);
    if (!range) return new Response(null, { status, headers });
    const body = (await readAgain({ reader, index }, range)) ?? (await serverHas(request, etag));
    return body instanceof Response ? body : new Response(body, { status, headers });
  }

  /** Reads a file. If it was lost, but is stored again, reads it anew. Undefined if it is lost: then it is fetched. */
  async function readAgain({ reader, index }: Found, range: readonly [number, number]): Promise<BodyInit | undefined> {
    const { versions } = await open();
    for (let current: DirectoryReader | undefined = reader; ; ) {
      try {
        if (!current) throw new SyncError('store', 'the version was removed');
        return await versions.read(current, index, ...range);
      } catch (error) {
        if (!(error instanceof SyncError)) throw error;
        versions.close(reader.version);
        if (current !== reader) break;
        current = await versions.open(reader.version);
      }
    }
    isDamaged = true;
    void update();
    return undefined;
  }

  /** The server's answer, if it is the same file; an error otherwise, because two versions would be mixed. */
  async function serverHas(request: Request, etag: string): Promise<Response> {
    const response = await fetch(request, { cache: 'no-cache' });
    return response.headers.get('etag')?.replace('W/', '') === etag ? response : Response.error();
  }

  /** The policies of a version, which are read once. */
  function policiesOf(version: string): Promise<Policies> {
    const reading = policies.get(version) ?? readPolicies(version);
    policies.set(version, reading);
    reading.catch(() => policies.delete(version));
    return reading;
  }

  /** The policies of a version; those of the newest one if there are none, or those that the server sends now. */
  async function readPolicies(version: string): Promise<Policies> {
    const { records } = (await open()).versions;
    const own = await records.policies(version);
    if (own) return own;
    const head = (await records.head())?.version;
    const others = head === undefined || head === version ? undefined : await records.policies(head);
    if (others) return others;
    const fetched = await fetchPolicies(version, AbortSignal.timeout(POLICIES_WAIT)).catch(() => undefined);
    if (!fetched) policies.delete(version); // The next document asks again.
    return fetched ?? [];
  }

  /** Gets the policies that the server sends, and stores them with a version. */
  async function fetchPolicies(version: string, signal?: AbortSignal): Promise<Policies | undefined> {
    const { credentials, headers } = job;
    const options = { method: 'HEAD', cache: 'no-store', credentials, headers } as const;
    const response = await fetch(base, signal ? { ...options, signal } : options);
    if (!response.ok) return undefined;
    const sent = policiesIn(response.headers);
    await (await open()).versions.records.setPolicies(version, sent);
    policies.delete(version);
    return sent;
  }

  async function fetchNewest(): Promise<void> {
    const { url, headers, credentials } = job;
    const response = await fetch(`${url}.driblet/head`, { headers, credentials, cache: 'no-store' });
    if (!response.ok) return;
    const head = (await response.json()) as { version?: unknown; unregister?: unknown };
    if (head.unregister === true) return unregister();
    const { versions, pins } = await open();
    await pins.review(worker.clients);
    const before = await versions.records.head();
    if (before?.version !== head.version || isDamaged) {
      isDamaged = false;
      const { handle, version } = await sendSync(job, {});
      sendClose(handle);
      if (before && before.version !== version) await pins.keep(before.version, before.stored);
    }
    const stored = await versions.records.head();
    if (stored && !(await versions.records.policies(stored.version))) await fetchPolicies(stored.version);
    await versions.closeOld();
    if (stored?.version !== before?.version) await tell(await worker.clients.matchAll({ type: 'window' }));
  }

  /** Ends this worker for good, and deletes what it stores: the way back from a release that does harm. */
  async function unregister(): Promise<void> {
    isUnregistered = true;
    await worker.registration.unregister();
    await Promise.all([(await open()).versions.remove(), forgetModule()]);
  }

  /** Starts an update. One that runs may have asked for the head too early, so another one follows it. */
  function update(): Promise<void> {
    if (!running) {
      running = fetchNewest()
        .catch(() => {}) // The next navigation tries again.
        .finally(() => {
          running = undefined;
        });
      return running;
    }
    next ??= running.then(() => {
      next = undefined;
      return update();
    });
    return next;
  }

  async function tell(pages: readonly Client[]): Promise<void> {
    const { versions, pins } = await open();
    const version = (await versions.records.head())?.version;
    if (version === undefined) return;
    for (const page of pages.filter(({ url }) => url.startsWith(base))) {
      const own = await pins.of(page.id);
      if (own !== undefined && own !== version) page.postMessage({ driblet: 'ready', version } satisfies Ready);
    }
  }

  return {
    base,
    update,
    introduce(page) {
      const { url, headers, credentials } = job;
      page.postMessage({ driblet: 'serves', url, headers, credentials } satisfies Serves);
    },
    tell,
    respond(event) {
      event.respondWith(answer(event));
      if (event.request.mode === 'navigate') event.waitUntil(update());
    },
  };
}

/** The versions that a client without a pin may get, the best first. */
async function newest({ records }: Versions, isNavigation: boolean): Promise<string[]> {
  if (!isNavigation) return records.kept();
  const head = await records.head();
  return head ? [head.version] : [];
}

function withSlash(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return `${origin}${pathname}/${search}`;
}

function withoutFragment(url: string): string {
  return url.replace(/#.*$/, '');
}
