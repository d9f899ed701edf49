import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { blake3 } from './blake3.js';

/*
 * Speaks to a running server through the socket in the folder of its history, as `driblet publish` does:
 * crates/driblet/src/control/ is the other side. One line of JSON goes in, lines of JSON come out.
 */

const SOCKET = 'control.sock';
/** The longest path of a socket in bytes. The system takes some more. */
const MAX_PATH = 100;

/** A file or a directory, as the server has published it. The path of a directory ends with `/`. */
export interface PublishedSnapshot {
  path: string;
  version: string;
  /** The number of its files, if it is a directory. */
  files: number | null;
}

/** The server's answer, or that there is no server. */
export type Answer =
  | { kind: 'published'; snapshots: PublishedSnapshot[] }
  | { kind: 'refused'; reason: string }
  | { kind: 'not-running' };

type Line = 'done' | { published: PublishedSnapshot } | { failed: string };

/** The folder in which `driblet serve` has the history of a root, unless it is given another. */
export function defaultHistory(root: string): string {
  const { XDG_CACHE_HOME: named = '' } = process.env;
  const cache = isAbsolute(named) ? named : join(homedir(), '.cache');
  return join(cache, 'driblet', blake3(Buffer.from(root)).slice(0, 16));
}

/**
 * Asks the server with this history to publish a path, or all its directories. Rejects if the server cannot be asked,
 * or sends nothing for `timeout` milliseconds.
 */
export async function publish(history: string, path: string | undefined, timeout: number): Promise<Answer> {
  let text: string;
  try {
    text = await ask(history, JSON.stringify({ command: 'publish', path: path ?? null }), timeout);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return { kind: 'not-running' };
    throw error;
  }
  const lines = text.split('\n').slice(0, -1);
  const snapshots: PublishedSnapshot[] = [];
  for (const line of lines.map((line): Line => JSON.parse(line))) {
    if (line === 'done') return { kind: 'published', snapshots };
    if ('failed' in line) return { kind: 'refused', reason: line.failed };
    snapshots.push(line.published);
  }
  throw new Error('the server ended the connection without an answer; it answers processes of its own user only');
}

/** Sends a line. Returns all that the server answers. */
async function ask(history: string, line: string, timeout: number): Promise<string> {
  const place = placeOf(join(history, SOCKET));
  try {
    const socket = connect(place.path);
    if (timeout !== Infinity) {
      const late = () => socket.destroy(new Error(`the server did not answer for ${timeout / 1000} s`));
      socket.setTimeout(timeout, late);
    }
    socket.setEncoding('utf8').end(`${line}\n`);
    let text = '';
    for await (const part of socket) text += part;
    return text;
  } finally {
    place.close();
  }
}

/** A name of a socket that is short enough for the system: the path itself, or one through an open file of its folder. */
function placeOf(path: string): { path: string; close: () => void } {
  if (Buffer.byteLength(path) <= MAX_PATH) return { path, close: () => {} };
  const folder = openSync(dirname(path), 'r');
  return { path: `/proc/self/fd/${folder}/${SOCKET}`, close: () => closeSync(folder) };
}
