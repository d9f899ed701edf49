import { Buffer } from 'buffer';
import { SyncError } from '../shared/error.js';

/*
 * WebSockets behind the streams of websocket-stream. When the socket closes, such a stream drops the data that it has
 * not passed on, and ends as if there had been no more. It does not tell the close code either. A receiver that is
 * piped from one therefore listens to the socket itself. This needs no more memory: the stream cannot slow the socket
 * down either.
 */

/** The interface that browsers' WebSockets and npm `ws` share. */
export interface Socket {
  readonly readyState: number;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: unknown }) => void): void;
}

const CLOSING = 2;

/** The socket behind a stream, if there is one that is not closed. */
export function socketOf(stream: unknown): Socket | undefined {
  const { socket } = stream as { socket?: Partial<Socket> };
  const isSocket =
    typeof socket?.addEventListener === 'function' &&
    typeof socket.readyState === 'number' &&
    socket.readyState < CLOSING;
  return isSocket ? (socket as Socket) : undefined;
}

/** A message's bytes, as websocket-stream converts them. */
export function messageBytes(data: unknown): Buffer | undefined {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  return data instanceof Uint8Array ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : undefined;
}

/** The error for a socket that was closed with this code; undefined for a regular close, with or without a code. */
export function closeError(code: number, reason: unknown): SyncError | undefined {
  if (code === 1000 || code === 1005) return undefined;
  if (code === 1006) return new SyncError('network', 'the connection broke before the file was complete; try again');
  const text = String(reason ?? '') || 'without a reason';
  return PASSING.includes(code)
    ? new SyncError('network', `the server closed with ${code}: ${text}; try again`)
    : new SyncError('protocol', `the server closed with ${code}: ${text}`);
}

/** Close codes after which another try may work: the server goes away, restarts or is busy, or the list was late. */
const PASSING = [1001, 1012, 1013, 4408, 4503];
