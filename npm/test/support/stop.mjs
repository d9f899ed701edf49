// A worker that stops in the nth call of a method, `FileSystemSyncAccessHandle.write.2`.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Puts the worker's script where the server has it. */
export function publishStop({ root }) {
  const worker = readdirSync(fileURLToPath(new URL('../../../crates/driblet/client', import.meta.url))).find((name) => /^worker-\w+\.js$/.test(name));
  writeFileSync(join(root, 'stopping.js'), `import './stop.js';\nimport '/.driblet/${worker}';\n`);
  // It says so by a request, whose answer it waits for.
  writeFileSync(join(root, 'stop.js'), `
    const [type, method, nth] = location.search.slice(1).split('.');
    const { prototype } = self[type];
    const call = prototype[method];
    let left = Number(nth);
    prototype[method] = function (...values) {
      left -= 1;
      if (left === 0) {
        const request = new XMLHttpRequest();
        request.open('GET', '/stopped', false);
        request.send();
      }
      return call.apply(this, values);
    };`);
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
