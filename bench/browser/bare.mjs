// A browser that nobody watches. A debugger, and Playwright is one, attaches to each new worker and holds it back until it has heard
// of it: some 30 ms that no visitor waits for. Here a page says itself how it fared, to the URL after the # of its own.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

// A visitor looks at the page, so it must not count as one in the background.
const FOREGROUND = ['--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows', '--disable-background-timer-throttling']

/** Starts Chromium on a profile; `visit` opens a page, gives what it reports, and closes it. */
export async function bareBrowser (executable, profile, flags) {
  const child = spawn(executable, ['--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`, ...FOREGROUND, ...flags, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const control = await listening(child)
  let heard
  const ear = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request.setEncoding('utf8')) text += piece
    response.writeHead(200, { 'access-control-allow-origin': '*' }).end()
    heard?.(JSON.parse(text))
  })
  await new Promise(resolve => ear.listen(0, '127.0.0.1', resolve))
  return {
    async visit (url) {
      const report = new Promise(resolve => { heard = resolve })
      const { id } = await (await fetch(`${control}/json/new?${encodeURIComponent(`${url}#http://127.0.0.1:${ear.address().port}`)}`, { method: 'PUT' })).json()
      const said = await within(60_000, report, `${url} said nothing for a minute`)
      await fetch(`${control}/json/close/${id}`)
      return said
    },
    async close () {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.kill()
      ear.close()
      await ended
    }
  }
}

async function listening (child) {
  for await (const line of createInterface({ input: child.stderr })) {
    const found = /^DevTools listening on ws:\/\/([^/]+)/.exec(line)
    if (found) { child.stderr.resume(); return `http://${found[1]}` }
  }
  throw new Error('Chromium did not start')
}

async function within (ms, promise, message) {
  let timer
  const late = new Promise((resolve, reject) => { timer = setTimeout(() => reject(new Error(message)), ms) })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
