// Runs the browser's measurements: `node measure.mjs DRIBLET PAIR WORK RUNS`. Prints JSON.
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { bareBrowser } from './bare.mjs'
import { CHROMIUM, FLAGS, publish, publishReady, serve } from './published.mjs'
import { shaper } from './shaper.mjs'

const { chromium } = createRequire(new URL('../../npm/package.json', import.meta.url))('playwright-core')
const [binary, pair, work, runsText] = process.argv.slice(2)
const runs = Number(runsText)
const here = new URL('.', import.meta.url).pathname
const folder = join(work, 'served')
const file = join(folder, 'typescript.js')

await rm(work, { recursive: true, force: true, maxRetries: 10 })
await mkdir(folder, { recursive: true })
await copyFile(join(here, 'sync.html'), join(folder, 'sync.html'))
await publish(pair, 'old', file)

const slow = await shaper({ bitsPerSecond: 20e6, roundTrip: 40 })
const slowPlain = await shaper({ bitsPerSecond: 20e6, roundTrip: 40 })
const server = await serve(binary, folder, join(work, 'history'), '--allow-host', `127.0.0.1:${slow.port}`)
const plain = await servePlain()
slow.upstream = Number(new URL(server.url).port)
slowPlain.upstream = plain.port
const context = await chromium.launchPersistentContext(join(work, 'profile'), { executablePath: CHROMIUM, headless: true, args: FLAGS })
try {
  const warm = await warmWorker()
  await context.close()
  const navigation = await navigations()
  console.log(JSON.stringify({ warm, navigation, brotli: plain.brotliLength }))
} finally {
  await context.close()
  server.child.kill()
  plain.close()
  slow.close()
  slowPlain.close()
}

/** In one page: sync from the version published before, beside a fetch of the whole file, in turns. */
async function warmWorker () {
  const page = await context.newPage()
  await page.goto(`${server.url}/sync.html`)
  await page.waitForFunction(() => window.done, null, { timeout: 60_000 })
  const taken = []
  for (let run = 0; run < runs + 2; run++) {
    await publishReady(pair, run % 2 === 0 ? 'new' : 'old', file, `${server.url}/typescript.js`)
    taken.push(await page.evaluate(async ({ plain, syncFirst }) => {
      const { sync, opfsStore } = await import('/.driblet/client.js')
      const timed = async act => { const begin = performance.now(); const result = await act(); return { ms: performance.now() - begin, ...result } }
      const bySync = () => timed(async () => {
        const handle = await sync('/typescript.js', { store: opfsStore() })
        const bytes = await handle.bytes()
        return { length: bytes.byteLength, cost: handle.cost }
      })
      const byFetch = url => timed(async () => ({ length: (await (await fetch(url, { cache: 'no-store' })).arrayBuffer()).byteLength }))
      const synced = syncFirst ? await bySync() : undefined
      const fetched = await byFetch(`${plain}/identity/typescript.js`)
      const again = synced ?? await bySync()
      return { synced: again, fetched, unchanged: await bySync() }
    }, { plain: plain.url, syncFirst: run % 2 === 0 }))
  }
  await page.close()
  return taken.slice(2) // both deltas have been made, and the worker is warm
}

/** From navigation to the bytes over the slow link: a page that syncs, and one that fetches the new file under brotli. */
async function navigations () {
  await publishReady(pair, 'old', file, `${server.url}/typescript.js`)
  const browser = await bareBrowser(CHROMIUM, join(work, 'bare-profile'), FLAGS)
  try {
    // The browser has visited both pages before.
    await visit(browser, slow, 'sync.html', false)
    await visit(browser, slowPlain, 'fetch.html', false)
    const taken = []
    for (let run = 0; run < runs; run++) {
      await publishReady(pair, run % 2 === 0 ? 'new' : 'old', file, `${server.url}/typescript.js`)
      const turn = {}
      for (const name of run % 2 === 0 ? ['synced', 'fetched'] : ['fetched', 'synced']) {
        turn[name] = name === 'synced' ? await visit(browser, slow, 'sync.html', true) : await visit(browser, slowPlain, 'fetch.html', true)
      }
      taken.push(turn)
    }
    return taken
  } finally {
    await browser.close()
  }
}

async function visit (browser, link, name, shaped) {
  link.hangUp()
  const before = { received: link.received, sent: link.sent, connections: link.connections }
  link.shaped = shaped
  const done = await browser.visit(`http://127.0.0.1:${link.port}/${name}`)
  link.shaped = false
  return { ...done, received: link.received - before.received, sent: link.sent - before.sent, connections: link.connections - before.connections }
}

/** Serves the whole file, as it is and compressed by brotli at its highest level. */
async function servePlain () {
  const bytes = await readFile(join(pair, 'new'))
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } })
  const page = await readFile(join(here, 'fetch.html'))
  const server = createServer((request, response) => {
    const common = { 'access-control-allow-origin': '*', 'cache-control': 'no-store' }
    if (request.url === '/fetch.html') response.writeHead(200, { ...common, 'content-type': 'text/html' }).end(page)
    else if (request.url === '/identity/typescript.js') response.writeHead(200, { ...common, 'content-length': bytes.length }).end(bytes)
    else if (request.url === '/typescript.js' && /\bbr\b/.test(request.headers['accept-encoding'])) {
      response.writeHead(200, { ...common, 'content-encoding': 'br', 'content-length': brotli.length }).end(brotli)
    } else response.writeHead(404).end()
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  return { port, url: `http://127.0.0.1:${port}`, brotliLength: brotli.length, close: () => server.close() }
}
