// Measures versions kept whole against versions kept as extents: `node extents.mjs PAIR WORK RUNS`. Prints JSON.
import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { CHROMIUM, FLAGS } from './published.mjs'

const { chromium } = createRequire(new URL('../../npm/package.json', import.meta.url))('playwright-core')
const [pair, work, runsText] = process.argv.slice(2)

const old = await readFile(join(pair, 'old'))
const { extents, fresh } = edited(old.length)
const page = await readFile(new URL('extents.html', import.meta.url))
const bodies = { '/': page, '/old': old, '/extents.json': JSON.stringify(extents), '/fresh': fresh }
const server = createServer((request, response) => response.writeHead(200, { 'content-type': request.url === '/' ? 'text/html' : 'application/octet-stream' }).end(bodies[request.url]))
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
const taken = []
for (let run = 0; run < Number(runsText); run++) {
  await rm(work, { recursive: true, force: true, maxRetries: 10 })
  const context = await chromium.launchPersistentContext(work, { executablePath: CHROMIUM, headless: true, args: FLAGS })
  const tab = await context.newPage()
  await tab.goto(`http://127.0.0.1:${server.address().port}/`)
  taken.push(await tab.evaluate(() => window.measured))
  await context.close()
}
server.close()
console.log(JSON.stringify(taken))

/** Edits as those of corpus/make_scattered.py: about ten a MiB, of which a third inserts, deletes, overwrites each. */
function edited (length) {
  let state = 1
  const random = limit => { state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0; return Math.floor(state / 2 ** 32 * limit) }
  const places = Array.from({ length: 1300 }, () => random(length - 4096)).sort((a, b) => a - b)
  const extents = []
  let at = 0
  let added = 0
  places.forEach((place, number) => {
    if (place <= at) return
    const size = 64 + random(1936)
    extents.push([at, place - at])
    if (number % 3 !== 1) { extents.push([-1, size]); added += size }
    at = number % 3 === 0 ? place : place + size
  })
  extents.push([at, length - at])
  return { extents, fresh: randomBytes(added) }
}
