import { check, checkTimeout } from '../shared/check.js';
import { LINKS } from '../shared/link.js';
import type { Link } from '../shared/link.js';
import { urlOf } from './url.js';

/** Settings of a whole page, worker or process; see {@link configure}. */
export interface Configuration {
  /** URL of driblet's worker script, `dist/worker.js`, if a bundler moved it. Default: beside driblet's own script. */
  workerUrl?: string | URL;
  /**
   * URL of driblet's wasm module, `wasm/driblet_bg.wasm`, if a bundler moved it. Default: beside driblet's own script.
   */
  wasmUrl?: string | URL;
  /**
   * URL of driblet's wasm module with all codecs, `wasm/codecs/driblet_bg.wasm`, if a bundler moved it. Default: beside
   * driblet's own script. If it does not load, deltas and signatures that need it are not asked for.
   */
  codecsWasmUrl?: string | URL;
  /**
   * URL of the script of driblet's worker for directories, `dist/directories-worker.js`, if a bundler moved it. Default:
   * beside driblet's own script.
   */
  directoryWorkerUrl?: string | URL;
  /**
   * URL of driblet's wasm module for directories, `wasm/directories/driblet_bg.wasm`, if a bundler moved it. Default:
   * beside driblet's own script.
   */
  directoryWasmUrl?: string | URL;
  /**
   * How long driblet's worker may send no message while a sync or a read waits for it, in milliseconds. A worker that
   * is silent for longer is ended between one and two times this limit. Its syncs continue in another worker, in
   * memory. `Infinity`: no limit. Default: 120,000.
   */
  workerTimeout?: number;
  /**
   * What requests for deltas say of the link, so that the server can choose the delta that is verified soonest: `'slow'`
   * below some 6 Mbit/s, `'fast'` above some 60, and of a `'usual'` one nothing. Default: what driblet measures.
   */
  link?: Link;
}

/** The configuration, checked: URLs are absolute. */
interface Settings {
  readonly workerUrl?: string;
  readonly wasmUrl?: string;
  readonly codecsWasmUrl?: string;
  readonly directoryWorkerUrl?: string;
  readonly directoryWasmUrl?: string;
  readonly workerTimeout: number;
  readonly link?: Link;
}

const URLS = ['workerUrl', 'wasmUrl', 'codecsWasmUrl', 'directoryWorkerUrl', 'directoryWasmUrl'] as const;

let settings: Settings = { workerTimeout: 120_000 };
let isInUse = false;

/**
 * Sets where driblet's files are and how long its worker may be silent. Call it before the first `sync()`. Throws an
 * error if driblet has already started with another value, and a `TypeError` if a value is not valid.
 *
 * @example
 * configure({ wasmUrl: '/assets/driblet_bg.wasm' });
 */
export function configure({ workerTimeout, link, ...urls }: Configuration): void {
  check(link === undefined || LINKS.includes(link), 'link', "'slow', 'usual' or 'fast'", link);
  const given = URLS.flatMap((name) => (urls[name] === undefined ? [] : [[name, urlOf(urls[name])[0]] as const]));
  const wanted: Settings = {
    ...settings,
    ...Object.fromEntries(given),
    ...(link !== undefined && { link }),
    ...(workerTimeout !== undefined && { workerTimeout: checkTimeout(workerTimeout, 'workerTimeout') }),
  };
  for (const name of Object.keys(wanted) as (keyof Settings)[]) {
    if (!isInUse || wanted[name] === settings[name]) continue;
    const used = settings[name] ?? 'its default';
    const message = `driblet runs with ${used} as ${name}, not with ${wanted[name]}`;
    throw new Error(`configure() must be called before the first sync(): ${message}`);
  }
  settings = wanted;
}

/** The settings that driblet runs with. From the first call on they do not change. */
export function settingsInUse(): Settings {
  isInUse = true;
  return settings;
}
