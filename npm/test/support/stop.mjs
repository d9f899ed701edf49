// Workers that are not as they should be: one that stops in the nth call of a method, `FileSystemSyncAccessHandle.write.2`, perhaps of a table, `IDBObjectStore.put.1.heads`.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Publishes a worker in which that script runs first. */
export function publishWorker({ root }, name, script) {
  const worker = readdirSync(fileURLToPath(new URL('../../../crates/driblet/client', import.meta.url))).find((name) =>
    /^worker-\w+\.js$/.test(name),
  );
  writeFileSync(join(root, name), `import './before-${name}';\nimport '/.driblet/${worker}';\n`);
  writeFileSync(join(root, `before-${name}`), script);
}

/** Puts the worker's script where the server has it. */
export function publishStop(server) {
  // It says so by a request, whose answer it waits for.
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

/** Keeps workers waiting where they stop: `stopped` resolves when one does, `goOn` answers. */
export function stops(link) {
  let goOn;
  const until = new Promise((resolve) => {
    goOn = resolve;
  });
  const stopped = new Promise((resolve) => {
    link.fault = ({ url }) => {
      if (url !== '/stopped') return undefined;
      resolve();
      return { until };
    };
  });
  return { stopped, goOn };
}
