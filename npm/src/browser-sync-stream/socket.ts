import { Buffer } from 'buffer';
import { SyncError } from '../shared/error.js';

/*
 * WebSockets, behind the streams that websocket-stream makes of them. Such a stream throws away what it has not passed on when the socket closes,
 * and then ends as if that had been all; nor does it tell with which code the socket was closed. So a receiver that is piped from one
 * listens to the socket itself. It need not fear for its memory: the stream could not slow the socket either.
 */

/** What WebSockets of browsers and of npm `ws` have in common. */
export interface Socket {
  readonly readyState: number;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: unknown }) => void): void;
}

const CLOSING = 2;

/** The socket behind a stream, if there is one that is not closed yet. */
export function socketOf(stream: unknown): Socket | undefined {
  const { socket } = stream as { socket?: Partial<Socket> };
  const isSocket = typeof socket?.addEventListener === 'function' && typeof socket.readyState === 'number' && socket.readyState < CLOSING;
  return isSocket ? (socket as Socket) : undefined;
}

/** A message's bytes, as websocket-stream has them. */
export function bytesOf(data: unknown): Buffer | undefined {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  return data instanceof Uint8Array ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : undefined;
}

/** Why a socket that was closed with this code has not brought all; nothing where it has: in order, or in order and without a code. */
export function closeError(code: number, reason: unknown): SyncError | undefined {
  if (code === 1000 || code === 1005) return undefined;
  if (code === 1006) return new SyncError('network', 'the connection broke before the file was complete; try again');
  const said = String(reason ?? '') || 'without a reason';
  return PASSING.includes(code)
    ? new SyncError('network', `the server closed with ${code}: ${said}; try again`)
    : new SyncError('protocol', `the server closed with ${code}: ${said}`);
}

/** Codes of what may go better the next time: a server that goes away, restarts or is busy, a list that was late. */
const PASSING = [1001, 1012, 1013, 4408, 4503];
