// Pages to which the browser denies parts of the platform: sandboxed frames, frames of third parties, pages with
// blocked cookies; or one part alone, denied by a script.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Publishes the page that runs commands in a frame. */
export function publishFrame({ root }) {
  writeFileSync(join(root, 'frame.html'), FRAME);
}

/** The commands of a page, in a frame or not: it syncs, lists and asks, and returns the results. */
const COMMANDS = `
  const { browserStore, configure, indexedDbStore, memoryStore, opfsStore, sync } = await import('/.driblet/client.js');
  const { estimate, list, persist } = await import('/.driblet/store.js');
  const kept = memoryStore();
  const stores = { browser: browserStore(), opfs: opfsStore(), indexeddb: indexedDbStore(), memory: kept };
  const digest = async (bytes) => Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const commands = {
    async attempt(path, kind, { workerUrl, ...options } = {}) {
      try {
        configure({ workerUrl });
        const handle = await sync(path, { ...options, store: stores[kind] });
        const bytes = await handle.bytes();
        await handle.stored;
        const { version, warning, cost } = handle;
        handle.close();
        return { version, digest: await digest(bytes), warning, basis: cost.basis, requests: cost.requests };
      } catch (error) {
        return { code: error.code, message: error.name + ': ' + error.message };
      }
    },
    listed: async (kind) => (await list(stores[kind])).map(({ url }) => new URL(url).pathname),
    estimate,
    persist,
  };`;

const FRAME = `<!doctype html><title>frame</title><script type="module">${COMMANDS}
  addEventListener('message', async ({ data: { id, name, values } }) => {
    const said = await commands[name](...values).then((value) => ({ value }), (error) => ({ error: String(error) }));
    parent.postMessage({ id, ...said }, '*');
  });
  parent.postMessage('ready', '*');
</script>`;

/** Opens that page in a frame. Returns a function that sends it commands. */
export async function framed(page, src, sandbox) {
  await page.evaluate(
    ([src, sandbox]) =>
      new Promise((ready) => {
        const frame = document.createElement('iframe');
        if (sandbox !== null) frame.setAttribute('sandbox', sandbox);
        frame.src = src;
        const asked = [];
        globalThis.tellFrame = (name, values) =>
          new Promise((resolve, reject) => {
            asked.push({ resolve, reject });
            frame.contentWindow.postMessage({ id: asked.length - 1, name, values }, '*');
          });
        addEventListener('message', ({ data }) => {
          if (data === 'ready') return ready();
          if ('error' in data) asked[data.id].reject(new Error(data.error));
          else asked[data.id].resolve(data.value);
        });
        document.documentElement.append(frame);
      }),
    [src, sandbox ?? null],
  );
  return (name, ...values) => page.evaluate(([name, values]) => tellFrame(name, values), [name, values]);
}

/** Runs a script in a page and defines the commands there. Returns a function that sends it commands. */
export async function prepared(page, script) {
  await page.evaluate(
    ([script, commands]) => (0, eval)(`(async () => { ${script}; ${commands}; globalThis.commands = commands; })()`),
    [script, COMMANDS],
  );
  return (name, ...values) => page.evaluate(([name, values]) => commands[name](...values), [name, values]);
}

/** Parts of the platform: where a page or a worker finds each, and the calls that it has. */
export const PARTS = {
  locks: { at: 'navigator.locks', calls: ['LockManager.request', 'LockManager.query'] },
  storage: {
    at: 'navigator.storage',
    calls: [
      'StorageManager.getDirectory',
      'StorageManager.estimate',
      'StorageManager.persist',
      'StorageManager.persisted',
    ],
  },
  files: { calls: ['FileSystemFileHandle.createSyncAccessHandle'] },
  folders: { calls: ['FileSystemDirectoryHandle.getFileHandle'] },
  writing: { calls: ['FileSystemSyncAccessHandle.write'], returns: true },
  indexedDB: { at: 'indexedDB', calls: ['IDBFactory.open'] },
  transactions: { calls: ['IDBDatabase.transaction'] },
  Worker: { at: 'Worker', isClass: true },
  BroadcastChannel: { at: 'BroadcastChannel', isClass: true },
  localStorage: { at: 'localStorage' },
};

/**
 * How a part is denied: reading the property throws, the property is undefined, its calls throw, its calls reject, or
 * its calls never answer.
 */
export const DENIALS = ['unreadable', 'missing', 'throw', 'reject', 'hang'];

/**
 * A script that denies some parts, and `others` each with its own denial. Undefined if none of them can be denied so.
 */
export function denying(parts, denial, others = {}) {
  const calls = [...parts.map((part) => [part, denial]), ...Object.entries(others)].flatMap(([part, denial]) =>
    callsFor(part, denial),
  );
  return calls.length === 0 ? undefined : [DENY, ...calls].join('\n');
}

function callsFor(part, denial) {
  const { at, isClass, returns, calls = [] } = PARTS[part];
  if (denial === 'unreadable' || denial === 'missing') return at ? [`denyProperty('${at}', '${denial}');`] : [];
  if (isClass) return denial === 'reject' ? [] : [`denyConstructor('${at}', '${denial}');`];
  if (returns && denial !== 'throw') return [];
  // A transaction either begins or does not.
  if (part === 'transactions' && denial === 'reject') return [];
  return calls.map((call) => `denyCall('${call}', '${denial}');`);
}

const DENY = `
  const denied = () => new DOMException('the test denies it', 'SecurityError');
  const denyProperty = (at, denial) => {
    const names = at.split('.');
    const name = names.pop();
    const owner = names.reduce((found, next) => found[next], globalThis);
    const get = () => {
      if (denial === 'missing') return undefined;
      throw denied();
    };
    Object.defineProperty(owner, name, { configurable: true, get });
  };
  const denyConstructor = (name, denial) => {
    if (!(name in globalThis)) return;
    globalThis[name] = class {
      constructor() {
        if (denial === 'throw') throw denied();
      }
      postMessage() {}
      terminate() {}
      close() {}
    };
  };
  const denyCall = (call, denial) => {
    const [type, name] = call.split('.');
    const { prototype } = globalThis[type] ?? {};
    const original = prototype?.[name];
    if (!original) return;
    prototype[name] = function (...values) {
      if (denial === 'throw') throw denied();
      if (name === 'transaction') return Object.defineProperty(original.apply(this, values), 'oncomplete', { set() {} });
      if (name === 'open') return neverOrFailing(denial);
      return denial === 'reject' ? Promise.reject(denied()) : new Promise(() => {});
    };
  };
  /** A request to a database. */
  const neverOrFailing = (denial) => {
    const request = { error: denied() };
    if (denial === 'reject') setTimeout(() => request.onerror?.({ target: request }));
    return request;
  };`;
