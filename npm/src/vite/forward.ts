import { request } from 'node:http';
import { pipeline } from 'node:stream';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** Where requests go, and what is set in the answers. */
export interface Forwarding {
  port: number;
  /** The path below which the build is served. It begins and ends with `/`. */
  base: string;
  /** The headers that vite is configured to send with each file. */
  headers: OutgoingHttpHeaders;
}

type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** Headers that hold for one connection only (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'];

/**
 * A middleware that has requests answered by a server on 127.0.0.1, streaming both ways. What that server does not
 * have, and what is not its own to answer, goes on to the next middleware.
 */
export function forward({ port, base, headers }: Forwarding): Middleware {
  return (incoming, response, next) => {
    const { method = 'GET', url = '/' } = incoming;
    const path = url.split('?', 1)[0]!;
    const isResource = /\.driblet(\/|$)/.test(path);
    const isOurs = path.startsWith(base) && (isResource ? method === 'POST' || isSafe(method) : isSafe(method));
    if (!isOurs) return next();
    const outgoing = request({
      host: '127.0.0.1',
      port,
      method,
      path: `/${url.slice(base.length)}`,
      headers: headersFor(incoming, response),
      // A connection that is used again may just be ending.
      agent: false,
    });
    let isAnswered = false;
    outgoing.once('response', (answer) => {
      const { statusCode: status = 502 } = answer;
      isAnswered = true;
      // A missing resource has an answer of its own: it tells a receiver what to do.
      if (status === 404 && !isResource) {
        answer.resume();
        return next();
      }
      copyHeaders(answer, response, isResource ? headers : {}, isResource ? {} : headers);
      response.writeHead(status);
      // A cut answer cuts the response too.
      pipeline(answer, response, () => {});
    });
    outgoing.on('error', () => {
      if (isAnswered || response.destroyed) return;
      isAnswered = true;
      if (!isResource) return next();
      response.writeHead(502, { 'content-type': 'text/plain' }).end('driblet serve does not answer\n');
    });
    // A client that has gone needs no answer.
    response.once('close', () => outgoing.destroy());
    if (method === 'POST') incoming.pipe(outgoing);
    else outgoing.end();
  };
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** The headers of a request to the server. Its guard lets the request pass if vite's own guards did. */
function headersFor(incoming: IncomingMessage, response: ServerResponse): OutgoingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    // HTTP/2 has fields whose names begin with a colon.
    if (!name.startsWith(':') && !HOP_BY_HOP.includes(name) && value !== undefined) headers[name] = value;
  }
  const host = incoming.headers.host ?? incoming.headers[':authority'];
  if (typeof host === 'string') headers['x-forwarded-host'] ??= host;
  delete headers.host;
  // vite's CORS middleware runs before, and has allowed this origin.
  if (response.hasHeader('access-control-allow-origin')) delete headers.origin;
  return headers;
}

/** Copies the headers of an answer, between headers that give way to them and headers that replace them. */
function copyHeaders(
  answer: IncomingMessage,
  response: ServerResponse,
  before: OutgoingHttpHeaders,
  after: OutgoingHttpHeaders,
): void {
  const set = (name: string, value: OutgoingHttpHeaders[string]) => {
    if (value !== undefined) response.setHeader(name, value);
  };
  const vary = [response.getHeader('vary'), answer.headers.vary].flat().filter((value) => value !== undefined);
  for (const [name, value] of Object.entries(before)) set(name, value);
  for (const [name, value] of Object.entries(answer.headers)) if (!HOP_BY_HOP.includes(name)) set(name, value);
  if (0 < vary.length) set('vary', vary.join(', '));
  for (const [name, value] of Object.entries(after)) set(name, value);
}
