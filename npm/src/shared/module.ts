import { asSyncError } from './error.js';
import { CALL_TURNS, within } from './watch.js';

/*
 * What both wasm modules share: files have one, directories another. Bytes are passed to a module through a room in its
 * memory.
 */

/** How many bytes are passed to a module at once. */
export const ROOM = 1 << 20;

/** How long this thread works before other tasks run, in milliseconds. */
const TIME_SLICE = 8;

/** A wasm module, loaded, with the room through which it gets bytes. */
export interface Module<Room> {
  readonly room: Room;
  /** The first `length` bytes of the room, to be filled. Valid until the next call into the module. */
  fill(length: number): Uint8Array<ArrayBuffer>;
  /** Bytes of the module's memory. Valid until the next call into the module. */
  view(start: number, end: number): Uint8Array<ArrayBuffer>;
}

/** The function of wasm-bindgen that loads a module. */
type Load = (options: {
  module_or_path: Request | Promise<Response>;
}) => Promise<{ readonly memory: WebAssembly.Memory }>;

/** Answers the request for a module, in place of the network. */
type Respond = (request: Request) => Promise<Response>;

/** A module's `load`, whose request is answered by the function that `respond` is called with, if it is. */
export function answerable(load: Load) {
  let answer: Respond | undefined;
  return {
    load: ({ module_or_path }: { module_or_path: Request }) =>
      load({ module_or_path: answer?.(module_or_path) ?? module_or_path }),
    respond(by: Respond): void {
      answer = by;
    },
  };
}

/** Loads a module from a URL. In Node it is loaded already. */
export async function loadModule<Room extends { readonly at: number }>(
  url: string | URL,
  load: (options: { module_or_path: Request }) => ReturnType<Load>,
  newRoom: (length: number) => Room,
): Promise<Module<Room>> {
  const abort = new AbortController();
  // End the request, or the next try would wait for the same one.
  const loading = () => load({ module_or_path: new Request(url, { signal: abort.signal }) });
  const { memory } = await within(CALL_TURNS, "driblet's wasm module", loading).finally(() => abort.abort());
  const room = newRoom(ROOM);
  const at = room.at;
  return {
    room,
    fill: (length) => new Uint8Array(memory.buffer, at, Math.min(length, ROOM)),
    view: (start, end) => new Uint8Array(memory.buffer, start, end - start),
  };
}

/**
 * Returns a function that loads a module once, from the URL of its first call. If that fails, the next call tries again.
 */
export function loadedOnce<Loaded>(load: (url?: string | URL) => Promise<Loaded>) {
  let loading: Promise<Loaded> | undefined;
  return (url?: string | URL): Promise<Loaded> => {
    loading ??= load(url).catch((error) => {
      loading = undefined;
      // Its message alone: an error that says that something did not answer has a sync do without a store.
      const { message } = error;
      throw /content security policy/i.test(message)
        ? asSyncError(
            'protocol',
            "the page's content security policy must allow script-src 'wasm-unsafe-eval'",
            message,
          )
        : asSyncError('network', 'the wasm module did not load (sync again)', message);
    });
    return loading;
  };
}

let lastYield = 0;

/**
 * Lets other tasks run if this thread has worked for long. The thread may be a page's, and aborts arrive as messages.
 */
export function yieldIfDue(): Promise<void> | undefined {
  if (performance.now() < lastYield + TIME_SLICE) return undefined;
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel(); // Timers wait for longer.
    port1.onmessage = () => {
      port1.close();
      lastYield = performance.now();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Copies bytes into the room, one roomful at a time. Yields how many bytes the room has. */
export function* roomfuls({ fill }: Pick<Module<unknown>, 'fill'>, bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length; at += ROOM) {
    const piece = bytes.subarray(at, at + ROOM);
    fill(piece.length).set(piece);
    yield piece.length;
  }
}
