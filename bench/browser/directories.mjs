// Measures syncDirectory() and serveDirectory(): `node directories.mjs DRIBLET TEXT WORK RUNS`. Prints JSON.
import { spawn } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { CHROMIUM, FLAGS } from './published.mjs'

const FILES = 5000
const BYTES = 60e6
const CHANGED = 20
const NAVIGATED = 50

const { chromium } = createRequire(new URL('../../npm/package.json', import.meta.url))('playwright-core')
const [driblet, text, work, runs] = process.argv.slice(2)
await rm(work, { recursive: true, force: true, maxRetries: 10 })
const root = join(work, 'root')
const source = await readFile(text)
const length = BYTES / FILES
const contents = Array.from({ length: FILES }, (_, number) => Buffer.concat([
  Buffer.from(`// file ${number}\n`),
  source.subarray((number * 7919 * 31) % (source.length - length)).subarray(0, length - 20)
]))
const place = number => join(root, 'app', `d${number % 100}`, `f${number}.js`)
for (let folder = 0; folder < 100; folder++) await mkdir(join(root, 'app', `d${folder}`), { recursive: true })
for (const [number, content] of contents.entries()) await writeFile(place(number), content)
await writeFile(join(root, 'one'), Buffer.concat(contents))
await writeFile(join(root, 'index.html'), '<!doctype html><title>measured</title>')

// Pages with the same scripts: one is served from the directory, one from Cache Storage.
const scripts = Array.from({ length: NAVIGATED }, (_, number) => `s${number}.js`)
for (const site of ['site', 'cached']) {
  await mkdir(join(root, site))
  const tags = scripts.map(name => `<script src="/${site}/${name}"></script>`).join('')
  await writeFile(join(root, site, 'index.html'), `<!doctype html><title>${site}</title>${tags}`)
  for (const [number, name] of scripts.entries()) await writeFile(join(root, site, name), `globalThis.last = ${number};/*${source.subarray(number * 9000, number * 9000 + 9000).toString('latin1').replaceAll('*/', '')}*/`)
}
await writeFile(join(root, 'served.js'), "importScripts('/.driblet/service-worker.js')\ndriblet.serveDirectory('/site/')\n")
await writeFile(join(root, 'caching.js'), `
  const paths = ${JSON.stringify(['/cached/', ...scripts.map(name => `/cached/${name}`)])}
  addEventListener('install', event => event.waitUntil(caches.open('cached').then(cache => cache.addAll(paths))))
  addEventListener('activate', event => event.waitUntil(clients.claim()))
  addEventListener('fetch', event => event.respondWith(caches.match(event.request).then(found => found ?? fetch(event.request))))
`)

const server = spawn(driblet, ['serve', root, '--directory', 'app', '--directory', 'site', '--listen', '127.0.0.1:0', '--history', join(work, 'history')], { stdio: ['ignore', 'ignore', 'pipe'] })
const url = await new Promise((resolve, reject) => {
  createInterface({ input: server.stderr }).on('line', line => { const found = /^listening on (\S+)/.exec(line); if (found) resolve(found[1]) })
  server.once('exit', () => reject(new Error('driblet serve ended')))
})
const head = async since => {
  for (;;) {
    const response = await fetch(`${url}app/.driblet/head?since=${since}&wait=60`)
    if (response.ok) return response.json()
  }
}
let { counter } = await head(0)
const results = []
try {
  for (let run = 0; run < Number(runs); run++) {
    const profile = join(work, `profile${run}`)
    const context = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, headless: true, args: FLAGS })
    const page = await context.newPage()
    await page.goto(url)
    const fetched = await page.evaluate(fetchOne)
    const isTraced = run % 2 === 1
    const traced = isTraced ? await longestTask(context, page, () => page.evaluate(syncAll)) : { result: await page.evaluate(syncAll) }
    const cold = { ...traced.result, longest: traced.cpu, longestWall: traced.wall }
    for (let number = 0; number < CHANGED; number++) {
      const at = (number * 211 + run * 17) % FILES
      contents[at] = Buffer.concat([contents[at], Buffer.from(`changed(${run})\n`)])
      await writeFile(place(at), contents[at])
    }
    counter = (await head(counter)).counter
    const changed = await page.evaluate(syncAll)
    for (const [script, scope] of [['/served.js', '/site/'], ['/caching.js', '/cached/']]) await page.evaluate(registered, [script, scope])
    const navigations = { site: [], cached: [] }
    for (let turn = 0; turn < 8; turn++) {
      for (const site of ['site', 'cached']) {
        await page.goto(`${url}${site}/`)
        const { duration, workerStart } = await page.evaluate(() => performance.getEntriesByType('navigation')[0].toJSON())
        if (!workerStart) throw new Error(`no worker served ${site}`)
        if (turn >= 2) navigations[site].push(duration)
      }
    }
    results.push({ fetched, cold, changed, navigations, isTraced })
    await context.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 10 })
  }
} finally {
  server.kill()
}
console.log(JSON.stringify(results))

async function fetchOne () {
  const begin = performance.now()
  await (await fetch('/one', { cache: 'no-store' })).arrayBuffer()
  return performance.now() - begin
}

/** Syncs the directory. */
async function syncAll () {
  const { syncDirectory } = await import('/.driblet/directories.js')
  const begin = performance.now()
  const directory = await syncDirectory('/app/')
  await directory.stored
  const ms = performance.now() - begin
  directory.close()
  return { ms, requests: directory.cost.requests, received: directory.cost.received, warning: directory.warning }
}

/** The longest task of the page's thread while `work` runs, in milliseconds: its wall time, and its CPU time alone. */
async function longestTask (context, page, work) {
  const session = await context.newCDPSession(page)
  const events = []
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value))
  await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['toplevel', '__metadata'] } })
  const result = await work()
  const complete = new Promise(resolve => session.once('Tracing.tracingComplete', resolve))
  await session.send('Tracing.end')
  await complete
  const threads = new Set(events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`))
  const tasks = events.filter(({ ph, pid, tid, tdur }) => ph === 'X' && tdur !== undefined && threads.has(`${pid} ${tid}`))
  if (tasks.length === 0) throw new Error('the trace has no task of the page')
  const longest = name => tasks.reduce((max, task) => Math.max(max, task[name]), 0) / 1000
  return { result, wall: longest('dur'), cpu: longest('tdur') }
}

async function registered ([script, scope]) {
  const registration = await navigator.serviceWorker.register(script, { scope })
  const worker = registration.active ?? registration.waiting ?? registration.installing
  await new Promise(resolve => {
    const check = () => { if (worker.state === 'activated') resolve() }
    worker.addEventListener('statechange', check)
    check()
  })
}
