import { mediaType } from '../shared/resource.js';
import { eventParser } from './events.js';
import { parseHead } from './head.js';
import { linked, rejection } from './rest.js';
import type { LiveHead } from './head.js';
import type { Requests } from './requests.js';

/** What a receiver hears on a stream. */
export interface StreamListener {
  /** A head. */
  onHead(head: LiveHead): void;
  /** The stream is alive; the id is that of the server's head, and empty if the server did not tell one. */
  onAlive(id: string): void;
  /** When to come back after the end, in milliseconds. */
  onRetry(retry: number): void;
}

/** How a stream ended. */
export type StreamEnd =
  /** It ended or broke off. */
  | { readonly kind: 'ended' }
  /** No event came: something between here and the server holds the answer back. */
  | { readonly kind: 'held-back' }
  /** The server has no room for another stream for some milliseconds. */
  | { readonly kind: 'busy'; readonly wait: number };

/** A turn of the timer that notices silence, in milliseconds. While the machine sleeps there are no turns. */
const TURN = 1_000;
/** Turns that the first event may take after the request. */
const FIRST_TURNS = 5;
/** Turns of silence after which a stream is dead. The server says something every 15 s. */
const SILENT_TURNS = 35;
/** If the clock moves by so many milliseconds in a turn, the machine slept and the connection may be dead. */
const SLEPT = 30_000;
/** The shortest and the longest wait for a server that has no room, in milliseconds. */
const MIN_WAIT = 1_000;
const MAX_WAIT = 300_000;
/** The most characters of a head. */
const MAX_HEAD = 1 << 16;

/** Reads a stream to its end. Rejects if the answer is no stream, and when the signal is aborted. */
export async function readStream(
  requests: Requests,
  since: string | undefined,
  listener: StreamListener,
  signal: AbortSignal,
): Promise<StreamEnd> {
  const connection = linked(signal);
  const aborted = rejection(connection.signal);
  const silence = limitSilence(FIRST_TURNS, () => connection.abort());
  let hasHeard = false;
  try {
    const response = await requests.ask('live', 'text/event-stream', connection.signal, since);
    const { status } = response;
    if (status === 503 || status === 429) return { kind: 'busy', wait: waitOf(response) };
    if (!response.ok || mediaType(response) !== 'text/event-stream' || !response.body)
      throw new Error(`the answer is no live stream (status ${status}, ${mediaType(response) || 'no media type'})`);
    const parser = eventParser();
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    const reader = response.body.getReader();
    for (;;) {
      const { value, done } = await Promise.race([reader.read(), aborted]);
      if (done) return { kind: 'ended' };
      const events = parser.feed(decoder.decode(value, { stream: true }));
      hasHeard ||= 0 < events.length;
      if (hasHeard) silence.limit(SILENT_TURNS);
      if (parser.retry !== undefined) listener.onRetry(parser.retry);
      for (const { event, id, data } of events) {
        if (event === 'alive') listener.onAlive(id);
        if (event !== 'head') continue;
        const head = parseHead(data);
        if (!head) throw new Error('an event names no head');
        listener.onHead(head);
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    // Aborted here: it was silent.
    if (connection.signal.aborted) return hasHeard ? { kind: 'ended' } : { kind: 'held-back' };
    throw error;
  } finally {
    silence.stop();
    connection.end();
  }
}

/** Asks for the head. Undefined if the answer is none. */
export async function askHead(requests: Requests, signal: AbortSignal): Promise<LiveHead | undefined> {
  const connection = linked(signal);
  const silence = limitSilence(SILENT_TURNS, () => connection.abort());
  try {
    const response = await requests.ask('head', 'application/json', connection.signal);
    const isJson = response.ok && mediaType(response) === 'application/json';
    const text = isJson ? await Promise.race([response.text(), rejection(connection.signal)]) : '';
    return text.length <= MAX_HEAD ? parseHead(text) : undefined;
  } finally {
    silence.stop();
    connection.end();
  }
}

/** Calls `abort` after so many turns, which `limit` begins anew; and when the machine has slept. */
function limitSilence(turns: number, abort: () => void) {
  let left = turns;
  let before = Date.now();
  const timer = setInterval(() => {
    const hasSlept = SLEPT < Date.now() - before;
    before = Date.now();
    left -= 1;
    if (left <= 0 || hasSlept) abort();
  }, TURN);
  return {
    limit(turns: number) {
      left = turns;
    },
    stop: () => clearInterval(timer),
  };
}

function waitOf({ headers }: Response): number {
  return Math.min(Math.max(MIN_WAIT, 1_000 * Number(headers.get('retry-after')) || 0), MAX_WAIT);
}
