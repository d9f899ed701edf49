/*
 * What a service worker answers to requests for stored bytes: what the server would, because pages see nothing else. The
 * rules are in RFC 9110.
 */

/** Whether a service worker may answer a request. The others are left to the browser. */
export function isServed({ method, url, headers, cache }: Request): boolean {
  const { origin, pathname } = new URL(url);
  const isAsset =
    origin === location.origin &&
    url !== location.href &&
    !decodedPath(pathname)
      .split('/')
      .some((part) => part.endsWith('.driblet'));
  return (
    isAsset && (method === 'GET' || method === 'HEAD') && !headers.has('authorization') && cache !== 'only-if-cached'
  );
}

/** The bytes that a request asks for. */
export interface Content {
  /** Their number. */
  readonly length: number;
  readonly etag: string;
  readonly type: string;
}

/** An answer: with the bytes of the range, or without a body. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly range?: readonly [start: number, end: number];
}

/** The answer to a GET or HEAD request for some bytes: conditions, and a single range. */
export function answerTo({ method, headers: asked }: Request, { length, etag, type }: Content): Answer {
  const headers = new Headers({ 'accept-ranges': 'bytes', 'cache-control': 'no-cache', 'content-type': type, etag });
  if (asked.has('if-match') && !containsEtag(asked.get('if-match'), etag)) return { status: 412, headers };
  if (asked.has('if-none-match') && containsEtag(asked.get('if-none-match')?.replaceAll('W/', ''), etag))
    return { status: 304, headers };
  const wanted =
    method === 'GET' && (asked.get('if-range') ?? etag) === etag ? rangeOf(asked.get('range'), length) : undefined;
  const [start, end] = wanted ?? [0, length];
  if (wanted) headers.set('content-range', start < end ? `bytes ${start}-${end - 1}/${length}` : `bytes */${length}`);
  if (wanted && start === end) return { status: 416, headers };
  headers.set('content-length', `${end - start}`);
  if (method === 'HEAD') return { status: 200, headers };
  return { status: wanted ? 206 : 200, headers, range: [start, end] };
}

/** Whether a list of entity tags contains this one, by strong comparison. */
function containsEtag(list: string | null | undefined, etag: string): boolean {
  return list === '*' || list?.split(',').some((each) => each.trim() === etag) === true;
}

/**
 * The range that a Range header asks for, empty if it is beyond the end. Undefined if the header is not a single range
 * of bytes: the answer is then the whole file.
 */
function rangeOf(header: string | null, length: number): [start: number, end: number] | undefined {
  const [, from, to, last] = /^bytes=\s*(?:(\d+)-(\d*)|-(\d+))\s*$/i.exec(header ?? '') ?? [];
  if (last !== undefined) return length === 0 ? undefined : [Math.max(0, length - Number(last)), length];
  if (from === undefined || (to && Number(to) < Number(from))) return undefined;
  const start = Math.min(length, Number(from));
  return [start, to ? Math.max(start, Math.min(length, Number(to) + 1)) : length];
}

/** A path without its escapes; as it is if they are not valid. */
export function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
