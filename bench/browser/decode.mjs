// node bench/browser/decode.mjs RUNS OLD VERSION DELTA…: milliseconds that Chromium takes to decode and verify each delta (`times`), and to hash
// the old file (`verify`), as JSON.
// The page's client must be built (`make client`).
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { bareBrowser } from './bare.mjs'

const [runs, old, version, ...deltas] = process.argv.slice(2)
const npm = new URL('../../npm/', import.meta.url).pathname
const here = new URL('.', import.meta.url).pathname
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }

const server = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://localhost').pathname
  try {
    response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream')
    response.end(await readFile(fileOf(path)))
  } catch {
    response.writeHead(404).end()
  }
})
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
const profile = await mkdtemp(join(tmpdir(), 'driblet-decode-'))
const browser = await bareBrowser('/usr/bin/chromium', profile, ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'])
try {
  const query = new URLSearchParams({ runs, version, deltas: deltas.length })
  const said = await browser.visit(`http://127.0.0.1:${server.address().port}/decode.html?${query}`)
  if (said.error) throw new Error(said.error)
  console.log(JSON.stringify(said))
} finally {
  await browser.close()
  server.close()
  await rm(profile, { recursive: true, force: true, maxRetries: 10 })
}

function fileOf (path) {
  if (path === '/old') return old
  if (path.startsWith('/delta/')) return deltas[Number(path.slice('/delta/'.length))]
  return /^\/(dist|wasm)\/[\w/-]+\.(js|wasm)$/.test(path) ? join(npm, path) : join(here, path.replace(/\.\./g, ''))
}
