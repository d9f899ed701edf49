// Workers with changed methods. One stops in the nth call of a method, for example
// `FileSystemSyncAccessHandle.write.2`, or of a table's, `IDBObjectStore.put.1.heads`.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expected } from './limit.mjs';

/** Publishes a worker in which that script runs first. */
export function publishWorker({ root }, name, script) {
  const worker = readdirSync(fileURLToPath(new URL('../../../crates/driblet/client', import.meta.url))).find((name) =>
    /^worker-\w+\.js$/.test(name),
  );
  writeFileSync(join(root, name), `import './before-${name}';\nimport '/.driblet/${worker}';\n`);
  writeFileSync(join(root, `before-${name}`), script);
}

/** Publishes the script of the worker that stops. */
export function publishStop(server) {
  // It makes a request when it stops, and waits for the answer.
  publishWorker(
    server,
    'stopping.js',
    `
    const [type, method, nth, name] = location.search.slice(1).split('.');
    const { prototype } = self[type];
    const call = prototype[method];
    let left = Number(nth);
    prototype[method] = function (...values) {
      left -= name === undefined || this.name === name ? 1 : 0;
      if (left === 0) {
        left = NaN;
        const request = new XMLHttpRequest();
        request.open('GET', '/stopped', false);
        request.send();
      }
      return call.apply(this, values);
    };`,
  );
}

/** The URL of a worker that stops in that call. */
export function stoppingIn(call) {
  return `/stopping.js?${call}`;
}

/** Keeps workers where they stop: `stopped` waits until one has stopped, `goOn` lets it continue. */
export function stops(link) {
  let goOn;
  const until = new Promise((resolve) => {
    goOn = resolve;
  });
  const stop = new Promise((resolve) => {
    link.fault = ({ url }) => {
      if (url !== '/stopped') return undefined;
      resolve();
      return { until };
    };
  });
  return { stopped: () => expected(stop, 'a worker stops'), goOn };
}

/**
 * Publishes a worker for directories of the installed package. It stops in the nth of all calls that change its store:
 * `directoryStoppingIn(n)` is its URL.
 */
export function publishDirectoryStop({ root }) {
  writeFileSync(
    join(root, 'directory-stopping.js'),
    "import './before-directory-stopping.js';\nimport '/driblet/dist/directories-worker.js';\n",
  );
  writeFileSync(
    join(root, 'before-directory-stopping.js'),
    `
    const CALLS = {
      FileSystemSyncAccessHandle: ['write', 'flush', 'close'],
      FileSystemDirectoryHandle: ['getFileHandle', 'removeEntry'],
      IDBObjectStore: ['put', 'delete'],
    };
    let left = Number(location.search.slice(1));
    for (const [type, methods] of Object.entries(CALLS)) {
      const { prototype } = self[type];
      for (const method of methods) {
        const call = prototype[method];
        prototype[method] = function (...values) {
          left -= 1;
          if (left === 0) {
            const request = new XMLHttpRequest();
            request.open('GET', '/stopped', false);
            request.send();
          }
          return call.apply(this, values);
        };
      }
    }`,
  );
}

/** The URL of a worker that stops in the nth call that changes its store. */
export function directoryStoppingIn(nth) {
  return `/directory-stopping.js?${nth}`;
}
