// Chromium without a debugger. A debugger, such as Playwright, pauses each new worker until it has attached to it, which takes some 30 ms.
// Here a page sends its results itself, to the URL after the # of its own URL.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

// Chromium slows pages in the background.
const FOREGROUND = ['--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows', '--disable-background-timer-throttling']

/** Starts Chromium on a profile. `visit` opens a page, returns its results, and closes it. */
export async function bareBrowser (executable, profile, flags) {
  const child = spawn(executable, ['--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`, ...FOREGROUND, ...flags, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const control = await listening(child)
  let receive
  const results = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request.setEncoding('utf8')) text += piece
    response.writeHead(200, { 'access-control-allow-origin': '*' }).end()
    receive?.(JSON.parse(text))
  })
  await new Promise(resolve => results.listen(0, '127.0.0.1', resolve))
  return {
    async visit (url) {
      const report = new Promise(resolve => { receive = resolve })
      const { id } = await (await fetch(`${control}/json/new?${encodeURIComponent(`${url}#http://127.0.0.1:${results.address().port}`)}`, { method: 'PUT' })).json()
      const result = await within(60_000, report, `${url} sent no results for a minute`)
      await fetch(`${control}/json/close/${id}`)
      return result
    },
    async close () {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.kill()
      results.close()
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
