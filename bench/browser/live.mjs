// Measures watch() and watchDirectory(): `node live.mjs DRIBLET LIVE ENCODE PAIR WORK RUNS`. Prints JSON. LIVE is the program of bench/live,
// ENCODE the example of core.
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CHROMIUM, FLAGS, serve } from './published.mjs'

const FILES = 5000
const LENGTH = 12_000
/** A server is quiet that used less CPU time than this in half a second: ticks of 10 ms. */
const QUIET_TICKS = 2

const { chromium } = createRequire(new URL('../../npm/package.json', import.meta.url))('playwright-core')
const [driblet, live, encode, pair, work, runsText] = process.argv.slice(2)
const runs = Number(runsText)
const root = join(work, 'served')
await rm(work, { recursive: true, force: true, maxRetries: 10 })
await mkdir(root, { recursive: true })
await writeFile(join(root, 'index.html'), '<!doctype html><title>live</title>')

const releases = [await readFile(join(pair, 'old')), await readFile(join(pair, 'new'))]
/** Each version is a new one, so that each delta has to be made. */
const version = run => Buffer.concat([releases[run % 2], Buffer.from(`// ${run}\n`)])
const script = join(root, 'typescript.js')
await writeFile(script, version(0))

const place = number => join(root, 'app', `d${number % 100}`, `f${number}.js`)
const content = (number, run) => Buffer.concat([Buffer.from(`// file ${number}, version ${run}\n`), releases[0].subarray(number * 1500).subarray(0, LENGTH)])
for (let folder = 0; folder < 100; folder++) await mkdir(join(root, 'app', `d${folder}`), { recursive: true })
for (let number = 0; number < FILES; number++) await writeFile(place(number), content(number, 0))

const server = await serve(driblet, root, join(work, 'history'), '--directory', 'app')
const context = await chromium.launchPersistentContext(join(work, 'profile'), { executablePath: CHROMIUM, headless: true, args: FLAGS })
try {
  const page = await context.newPage()
  await page.goto(`${server.url}/`)
  const file = await watched(page, watchFile, '/typescript.js', run => changeFile(run))
  await page.goto('about:blank')
  await page.goto(`${server.url}/`)
  const directory = await watched(page, watchFolder, 'd7/f7.js', run => changeFolder(run))
  console.log(JSON.stringify({ file, directory }))
} finally {
  await context.close()
  server.child.kill()
}

/** For each change, the milliseconds until the page has verified bytes, and what its parts take alone. */
async function watched (page, watch, path, change) {
  await page.evaluate(watch, path)
  await seen(page, 1)
  const taken = []
  for (let run = 1; run <= runs + 1; run++) {
    await quiet()
    const { begin, parts } = await change(run)
    const { at, length, received, requests, text } = await seen(page, run + 1)
    const ms = at - begin
    taken.push({ ms, length, received, requests, text, ...await parts(page) })
  }
  return taken.slice(1) // the page's code is warm then
}

async function changeFile (run) {
  const [before, after] = ['before', 'after'].map(name => join(work, name))
  await writeFile(before, version(run - 1))
  await writeFile(after, version(run))
  const old = await head('/typescript.js')
  return replaced(after, script, async page => {
    const delta = Buffer.from(await (await fetch(`${server.url}/typescript.js.driblet/${old}`)).arrayBuffer())
    await writeFile(join(work, 'delta'), delta)
    const fetched = await page.evaluate(timedFetch, `/typescript.js.driblet/${old}`)
    return { ...parts(before, after), fetched, decode: await decoded(before, old, join(work, 'delta')) }
  })
}

async function changeFolder (run) {
  const [before, after] = ['before', 'after'].map(name => join(work, name))
  await writeFile(before, content(7, run - 1))
  await writeFile(after, content(7, run))
  const old = await head('/app/')
  return replaced(after, place(7), async page => {
    const fetched = await page.evaluate(timedFetch, `/app/.driblet/${old}`)
    return { ...parts(before, after), fetched, decode: 0 }
  })
}

/** Replaces a file in one step. */
async function replaced (from, to, parts) {
  const part = join(work, 'part')
  await copyFile(from, part)
  await sleep(100)
  const begin = performance.timeOrigin + performance.now()
  await rename(part, to)
  return { begin, parts }
}

/** Milliseconds to copy, hash and flush the file, and to encode the delta, each alone. */
function parts (before, after) {
  const copy = Number(execFileSync(live, ['copy', after, join(work, 'copy')])) / 1000
  const [seconds] = String(execFileSync(encode, ['1', 'at-once', before, after])).split(' ')
  return { copy, encode: 1000 * Number(seconds) }
}

/** Milliseconds that Chromium takes to decode and verify a delta. */
async function decoded (old, oldVersion, delta) {
  const said = execFileSync('node', [new URL('decode.mjs', import.meta.url).pathname, '3', old, oldVersion, delta])
  const times = JSON.parse(said).times[0]
  return times.sort((one, other) => one - other)[1]
}

async function head (asset) {
  const path = asset.endsWith('/') ? `${asset}.driblet/head` : `${asset}.driblet/head`
  return (await (await fetch(server.url + path)).json()).version
}

/** What the page saw, once it saw so many versions. */
async function seen (page, count) {
  await page.waitForFunction(count => { if (globalThis.failed) throw new Error(globalThis.failed); return count <= globalThis.seen.length }, count, { timeout: 120_000 })
  return page.evaluate(count => globalThis.seen[count - 1], count)
}

/** Waits until the server makes no more deltas ahead. */
async function quiet () {
  const ticks = () => { const fields = readFileSync(`/proc/${server.child.pid}/stat`, 'latin1').split(') ')[1].split(' '); return Number(fields[11]) + Number(fields[12]) }
  for (let calm = 0; calm < 4;) {
    const before = ticks()
    await sleep(500)
    calm = ticks() - before <= QUIET_TICKS ? calm + 1 : 0
  }
}

async function watchFile (url) {
  globalThis.seen = []
  const { watch } = await import('/.driblet/client.js')
  const follow = async () => {
    for await (const handle of watch(url)) {
      const { byteLength } = await handle.bytes()
      globalThis.seen.push({ at: performance.timeOrigin + performance.now(), length: byteLength, ...handle.cost })
      handle.close()
    }
  }
  follow().catch(error => { globalThis.failed = String(error) })
}

async function watchFolder (path) {
  globalThis.seen = []
  const { watchDirectory } = await import('/.driblet/client.js')
  const follow = async () => {
    for await (const app of watchDirectory('/app/')) {
      const text = await (await app.file(path)).text()
      globalThis.seen.push({ at: performance.timeOrigin + performance.now(), text: text.slice(0, 40), ...app.cost })
      app.close()
    }
  }
  follow().catch(error => { globalThis.failed = String(error) })
}

async function timedFetch (url) {
  const begin = performance.now()
  await (await fetch(url, { cache: 'no-store' })).arrayBuffer()
  return performance.now() - begin
}
