// Decodes deltas in memory with the shipped module. A time begins with the first byte of the delta and ends when the last byte is verified.
import { Decoder, Verifier, Want } from '/wasm/driblet.js'
import { roomfuls } from '/dist/shared/module.js'
import { allCodecs, loadCodecs, loadCore } from '/dist/sync/core.js'

const LIMIT = 2 ** 40
/** The clock ticks by tenths of a millisecond. */
const LEAST = 5

onmessage = ({ data: search }) => measure(search).then(postMessage, error => postMessage({ error: String(error) }))

async function measure (search) {
  const wanted = new URLSearchParams(search)
  const bytes = async name => new Uint8Array(await (await fetch(name)).arrayBuffer())
  const core = await loadCore()
  const modules = [{ core, Decoder }, { core: await loadCodecs(), Decoder: allCodecs }]
  const held = await bytes('/old')
  const deltas = await Promise.all([...Array(Number(wanted.get('deltas'))).keys()].map(index => bytes(`/delta/${index}`)))
  const moduleFor = delta => modules.find(module => decodes(module, held, wanted.get('version'), delta))
  const modulesUsed = deltas.map(moduleFor)
  const times = deltas.map(() => [])
  const verify = []
  for (let run = 0; run < Number(wanted.get('runs')); run++) {
    verify.push(timed(() => hash(core, held)))
    deltas.forEach((delta, index) => times[index].push(timed(() => decode(modulesUsed[index], held, wanted.get('version'), delta))))
  }
  return { times, verify }
}

/** Milliseconds that the work takes. Work that is shorter than the clock can measure is repeated. */
function timed (work) {
  const begin = performance.now()
  for (let times = 1; ; times++) {
    work()
    const taken = performance.now() - begin
    if (LEAST < taken) return taken / times
  }
}

function hash (core, bytes) {
  const verifier = new Verifier('0'.repeat(64), bytes.length, new Uint8Array())
  for (const length of roomfuls(core, bytes)) verifier.update(core.room, length)
  verifier.isRight()
  verifier.free()
}

/** Whether a page decodes the delta with this module. */
function decodes (module, held, version, delta) {
  try {
    decode(module, held, version, delta)
    return true
  } catch (error) {
    if (error.code !== 'bad-codec') throw error
    return false
  }
}

function decode ({ core, Decoder }, held, version, delta) {
  const decoder = Decoder.version(version, held.length, LIMIT)
  for (const length of roomfuls(core, delta)) decoder.handleInput(core.room, length)
  decoder.handleEnd()
  for (;;) {
    const want = decoder.poll()
    if (want === Want.Output) core.view(decoder.start, decoder.end)
    else if (want === Want.Basis) {
      const piece = held.subarray(decoder.start, decoder.end)
      core.fill(piece.length).set(piece)
      decoder.handleBasis(core.room, piece.length)
    } else break
  }
  decoder.free()
}
