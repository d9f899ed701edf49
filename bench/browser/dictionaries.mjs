// Measures compression dictionaries: `node dictionaries.mjs DRIBLET WORK RUNS PAIR…`. Prints JSON.
// For each pair, a folder with `old` and `new`: the bytes that a browser with the old file gets once the server has had
// time. For the first pair also the second navigation of a page whose script has a new name: with dictionaries, and
// with the script under brotli.
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { newCertificate } from '../../npm/test/support/certificate.mjs'
import { CHROMIUM, FLAGS, serve as serveFolder } from './published.mjs'
import { shaper } from './shaper.mjs'

const LINK = { bitsPerSecond: 20e6, roundTrip: 40 }
const NAMES = ['index-B3f2a9xx.js', 'index-Q9bd1cyy.js']

const { chromium } = createRequire(new URL('../../npm/package.json', import.meta.url))('playwright-core')
const [driblet, work, runs, ...pairs] = process.argv.slice(2)
await rm(work, { recursive: true, force: true, maxRetries: 10 })
const root = join(work, 'root')
await mkdir(join(root, 'assets'), { recursive: true })
const { cert, key, hash: trusted } = newCertificate()

const bytes = {}
const dictionaries = await serve()
for (const pair of pairs) bytes[basename(pair)] = await bytesOf(pair)
const navigations = { dictionary: [], brotli: [] }
const brotli = await serve('--no-dictionaries')
const link = await shaper(LINK)
for (let run = 0; run < Number(runs); run++) {
  navigations.dictionary.push(await secondNavigation(dictionaries, pairs[0]))
  navigations.brotli.push(await secondNavigation(brotli, pairs[0]))
}
link.close()
dictionaries.child.kill()
brotli.child.kill()
console.log(JSON.stringify({ bytes, navigations }))

/** Starts a server over TLS, with a history of its own. */
async function serve (...options) {
  const history = join(work, `history${options.length}`)
  const { child, url } = await serveFolder(driblet, root, history, '--tls-cert', cert, '--tls-key', key, ...options)
  return { child, url, port: Number(new URL(url).port) }
}

async function publish (name, content) {
  await writeFile(join(work, 'next'), content)
  await rename(join(work, 'next'), join(root, name))
}

function get (url, headers) {
  return new Promise((resolve, reject) => {
    request(url, { headers, rejectUnauthorized: false }, answer => {
      const pieces = []
      answer.on('data', piece => pieces.push(piece)).on('end', () => resolve({ headers: answer.headers, length: Buffer.concat(pieces).length }))
    }).on('error', reject).end()
  })
}

/** Requests a file until the answer is one that the server has made in the background. */
async function whenBetter (url, headers, isBetter) {
  for (;;) {
    const answer = await get(url, headers)
    if (isBetter(answer)) return answer
    await sleep(200)
  }
}

/** Publishes a file on a server, and waits until it is the head there. */
async function publishAt (server, name, content) {
  await publish(name, content)
  await get(`${server.url}/${name}.driblet/head`, {})
}

/** The header fields of a browser that holds the answer of this URL. */
async function holding (url, content) {
  const { headers } = await get(url, {})
  const id = /id="([^"]+)"/.exec(headers['use-as-dictionary'])?.[1]
  if (!id) throw new Error(`${url} is not offered as a dictionary: ${JSON.stringify(headers)}`)
  const hash = createHash('sha256').update(content).digest('base64')
  return { 'accept-encoding': 'br, dcb, dcz', 'available-dictionary': `:${hash}:`, 'dictionary-id': `"${id}"` }
}

async function bytesOf (pair) {
  const url = `${dictionaries.url}/pair.js`
  const [old, fresh] = await Promise.all(['old', 'new'].map(which => readFile(join(pair, which))))
  await publishAt(dictionaries, 'pair.js', old)
  const held = await holding(url, old)
  await publishAt(dictionaries, 'pair.js', fresh)
  const answer = await whenBetter(url, held, ({ headers }) => headers['content-encoding'] === 'dcb' || headers.etag.endsWith('-better"'))
  return { length: answer.length, coding: answer.headers['content-encoding'] }
}

/** The time of the second navigation to its load event, in ms. */
async function secondNavigation (server, pair) {
  const [old, fresh] = await Promise.all(['old', 'new'].map(which => readFile(join(pair, which))))
  const page = name => `<!doctype html><title>measured</title><script src="/assets/${name}"></script>`
  for (const name of NAMES) await rm(join(root, 'assets', name), { force: true })
  await publishAt(server, `assets/${NAMES[0]}`, old)
  await publish('index.html', page(NAMES[0]))
  const profile = join(work, 'profile')
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM, headless: true, args: [...FLAGS, `--ignore-certificate-errors-spki-list=${trusted}`]
  })
  link.upstream = server.port
  const tab = await context.newPage()
  const origin = `https://127.0.0.1:${link.port}/`
  await tab.goto(origin)
  const held = server === dictionaries ? await holding(`${server.url}/assets/${NAMES[0]}`, old) : { 'accept-encoding': 'br' }
  await publishAt(server, `assets/${NAMES[1]}`, fresh)
  await publish('index.html', page(NAMES[1]))
  await whenBetter(`${server.url}/assets/${NAMES[1]}`, held, ({ headers }) =>
    headers['content-encoding'] === 'dcb' || headers.etag.endsWith('-better"') || /-br-/.test(headers.etag))
  // The browser has had time to write its cache.
  await sleep(1000)
  link.hangUp()
  link.shaped = true
  const other = await context.newPage()
  await other.goto(origin)
  const { duration } = await other.evaluate(() => performance.getEntriesByType('navigation')[0].toJSON())
  const script = await other.evaluate(() => performance.getEntriesByType('resource')[0].toJSON())
  // The same page again: nothing crosses the wire but the page itself.
  const third = await context.newPage()
  await third.goto(origin)
  const cached = await third.evaluate(() => performance.getEntriesByType('navigation')[0].toJSON())
  link.shaped = false
  await context.close()
  await rm(profile, { recursive: true, force: true, maxRetries: 10 })
  return {
    duration,
    cached: cached.duration,
    fetched: script.responseEnd,
    transferred: script.transferSize,
    // What no answer can shorten: the round trips until its first byte, and what the page does once it is there.
    least: script.responseStart + duration - script.responseEnd
  }
}
