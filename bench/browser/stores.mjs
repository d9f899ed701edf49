// Measures each store in a page that stays open: `node stores.mjs DRIBLET PAIR WORK RUNS`. Prints JSON.
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CHROMIUM, FLAGS, publish, publishReady, serve } from './published.mjs'

const { chromium } = createRequire(new URL('../../npm/package.json', import.meta.url))('playwright-core')
const [binary, pair, work, runsText] = process.argv.slice(2)
const runs = Number(runsText)
const folder = join(work, 'served')
const file = join(folder, 'file')
const WITHOUT = 'without a worker'

await rm(work, { recursive: true, force: true, maxRetries: 10 })
await mkdir(folder, { recursive: true })
await copyFile(new URL('stores.html', import.meta.url), join(folder, 'stores.html'))
await publish(pair, 'old', file)
const server = await serve(binary, folder, join(work, 'history'))
const context = await chromium.launchPersistentContext(join(work, 'profile'), { executablePath: CHROMIUM, headless: true, args: FLAGS })
try {
  const taken = { opfs: [], indexeddb: [], memory: [], [WITHOUT]: [] }
  const open = { worker: await openPage('/stores.html'), none: await openPage('/stores.html?without-worker') }
  for (let run = 0; run < runs + 1; run++) {
    for (const what of Object.keys(taken)) {
      const { page, renderer, timed } = what === WITHOUT ? open.none : open.worker
      const kind = what === WITHOUT ? 'indexeddb' : what
      const name = `${what}-${run}`
      const path = kind === 'memory' ? `/file?${run}` : '/file'
      const turn = {}
      await publishReady(pair, 'old', file, `${server.url}/file`, ['none'])
      turn.cold = await timed([path, kind, name])
      await publishReady(pair, 'new', file, `${server.url}/file`, ['none'])
      turn.fetched = await page.evaluate(url => fetched(url), `${server.url}/file`)
      const peak = watchMemory(renderer)
      turn.warm = await timed([path, kind, name])
      turn.memory = await peak()
      turn.streams = await page.evaluate(args => streamed(...args), [path, kind, name])
      taken[what].push(turn)
      await page.evaluate(async () => {
        for await (const name of (await navigator.storage.getDirectory()).keys()) await (await navigator.storage.getDirectory()).removeEntry(name, { recursive: true })
        for (const { name } of await indexedDB.databases()) await new Promise(resolve => { Object.assign(indexedDB.deleteDatabase(name), { onsuccess: resolve }) })
      })
    }
  }
  for (const kind of Object.keys(taken)) taken[kind].shift() // the worker warms up
  console.log(JSON.stringify(taken))
} finally {
  await context.close()
  server.child.kill()
}

async function openPage (path) {
  const page = await context.newPage()
  await page.goto(`${server.url}${path}`)
  await page.waitForFunction(() => window.ready)
  const renderer = await rendererOf(page)
  const session = await context.newCDPSession(page)
  const timed = args => traced(session, renderer, () => page.evaluate(args => window.timed(...args), args))
  return { page, renderer, timed }
}

/** The process that the page and its worker are in: the one whose memory grows with it. */
async function rendererOf (page) {
  const renderers = execFileSync('pgrep', ['-f', `type=renderer.*${work}|${work}.*type=renderer`], { encoding: 'utf8' }).trim().split('\n')
  const before = await Promise.all(renderers.map(anonymous))
  await page.evaluate(() => { window.ballast = new Uint8Array(200 << 20).fill(1) })
  const after = await Promise.all(renderers.map(anonymous))
  await page.evaluate(() => { window.ballast = undefined })
  const grown = after.map((value, at) => value - before[at])
  return renderers[grown.indexOf(Math.max(...grown))]
}

/** Runs `work`, and adds the longest task of the page's thread meanwhile, in milliseconds of that thread's CPU time. */
async function traced (session, pid, work) {
  const events = []
  const collect = ({ value }) => events.push(...value)
  session.on('Tracing.dataCollected', collect)
  await session.send('Tracing.start', { traceConfig: { includedCategories: ['toplevel'], excludedCategories: ['*'] } })
  const result = await work()
  const complete = new Promise(resolve => session.once('Tracing.tracingComplete', resolve))
  await session.send('Tracing.end')
  await complete
  session.off('Tracing.dataCollected', collect)
  const main = events.find(event => event.name === 'thread_name' && event.args.name === 'CrRendererMain' && event.pid === Number(pid))
  const tasks = events.filter(event => event.pid === main?.pid && event.tid === main.tid && /RunTask$/.test(event.name))
  if (tasks.length === 0) throw new Error('the trace has no tasks of the page\'s thread')
  return { ...result, blocked: Math.max(...tasks.map(({ dur = 0, tdur = dur }) => tdur)) / 1000 }
}

/** How much more anonymous memory a process has at its peak than now, in MiB, sampled every few milliseconds. */
function watchMemory (pid) {
  let done = false
  const watching = (async () => {
    const before = await anonymous(pid)
    let most = before
    while (!done) {
      most = Math.max(most, await anonymous(pid))
      await sleep(3)
    }
    return (most - before) / 1024
  })()
  return () => { done = true; return watching }
}

async function anonymous (pid) {
  return Number(/RssAnon:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1])
}
