// WebKit in WebKitGTK's MiniBrowser, on a screen of its own. A WebDriver session stores nothing on the disk, so the
// page asks for the functions to run, and sends back the results.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expected } from './limit.mjs';

/** Features that Safari has and WebKitGTK disables. */
export const AS_SAFARI = '--features=+StorageAPI,+StorageAPIEstimate,+FileSystem,+AccessHandle';

/** Starts a browser with these arguments and one page, of a site with `publishPage`'s page. */
export async function launch(url, ...args) {
  const home = mkdtempSync(join(tmpdir(), 'driblet-webkit-'));
  const screen = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [display] = await expected(once(createInterface(screen.stdout), 'line'), 'Xvfb starts');
  const channel = await commands();
  const env = {
    ...process.env,
    DISPLAY: `:${display}`,
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_RUNTIME_DIR: home,
  };
  const browser = spawn(executable(), [...args, `${url}driven.html?${channel.port}`], { env, stdio: 'ignore' });
  const ended = once(browser, 'exit').then(([code, signal]) =>
    Promise.reject(new Error(`MiniBrowser ended with ${code ?? signal} before it asked for anything`)),
  );
  ended.catch(() => {}); // Later pages may store.
  await expected(Promise.race([channel.ready(), ended]), 'MiniBrowser loads its page');
  return {
    /** Loads the page anew, which ends its worker. */
    async open() {
      await channel.reload();
      return { evaluate: channel.evaluate, close() {} };
    },
    async close() {
      for (const child of [browser, screen]) {
        child.kill();
        await once(child, 'exit');
      }
      await channel.close();
      rmSync(home, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Publishes the page that asks for functions to run. */
export function publishPage({ root }) {
  writeFileSync(join(root, 'driven.html'), DRIVEN);
}

/** Asks for a function, runs it and sends back the result. */
const DRIVEN = `<!doctype html><title>driven</title><script type="module">
  const channel = 'http://127.0.0.1:' + location.search.slice(1);
  const post = (path, value) => fetch(channel + path, { method: 'POST', body: JSON.stringify(value) });
  for (let command = await (await post('/ready')).text(); ; command = await (await post('/next')).text()) {
    await post('/said', await (0, eval)(command).then((value) => ({ value }), (error) => ({ error: String(error) + ' ' + error.stack })));
  }
</script>`;

/** The server that pages ask for functions. */
async function commands() {
  const asked = mailbox();
  const ready = mailbox();
  const said = mailbox();
  const server = createServer(async (request, response) => {
    response.setHeader('access-control-allow-origin', '*');
    const body = Buffer.concat(await request.toArray()).toString();
    if (request.url === '/ready') ready.put();
    if (request.url !== '/said') return asked.put(response);
    said.put(JSON.parse(body));
    return response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    ready: () => ready.take(),
    /** Lets the page load anew, and waits for it. */
    async reload() {
      const command = await expected(asked.take(), 'the page asks for a function');
      command.end('new Promise(() => location.reload())'); // The old page asks no more.
      await expected(ready.take(), 'the page loads anew');
    },
    /** Runs a function in the page, with arguments that are JSON. Returns its result. */
    async evaluate(work, ...args) {
      const command = await expected(asked.take(), 'the page asks for a function');
      command.end(`(async () => (${work})(...${JSON.stringify(args)}))()`);
      const { value, error } = await said.take();
      if (error) throw new Error(error);
      return value;
    },
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Each function is taken once, by the first page that asks. */
function mailbox() {
  const values = [];
  const takers = [];
  return {
    put: (value) => (takers.shift() ?? ((value) => values.push(value)))(value),
    take: () => new Promise((resolve) => (0 < values.length ? resolve(values.shift()) : takers.push(resolve))),
  };
}

/** Distributions install it outside the search path, in /usr/lib/ARCHITECTURE/webkit2gtk-4.1. */
function executable() {
  const found =
    process.env.WEBKIT ??
    execFileSync('find', ['/usr/lib', '-name', 'MiniBrowser', '-path', '*webkit*'], { encoding: 'utf8' }).split(
      '\n',
    )[0];
  if (!found) throw new Error('there is no MiniBrowser of WebKitGTK here; set WEBKIT, or run scripts/setup.sh browser');
  return found;
}
