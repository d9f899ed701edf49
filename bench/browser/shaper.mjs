// A TCP proxy that makes loopback as slow as a real link: a shared rate each way, and a delay.
import { createServer, connect } from 'node:net'

/**
 * Listens on a loopback port and forwards to `link.upstream`. While `link.shaped` is set, each direction carries
 * `bitsPerSecond` for all connections together, each byte takes half of `roundTrip` to arrive, and a new connection's
 * first byte waits one round trip more, as the handshake would. There is no slow start, which favours large answers.
 *
 * @param {{ bitsPerSecond: number, roundTrip: number }} shape `roundTrip` in milliseconds
 */
export async function shaper ({ bitsPerSecond, roundTrip }) {
  const link = { upstream: 0, shaped: false, received: 0, sent: 0, connections: 0, port: 0, hangUp, close }
  const clients = new Set()
  const up = lane(bitsPerSecond, roundTrip / 2)
  const down = lane(bitsPerSecond, roundTrip / 2)
  const server = createServer({ noDelay: true }, client => {
    const upstream = connect({ port: link.upstream, host: '127.0.0.1', noDelay: true })
    const opened = performance.now()
    link.connections++
    clients.add(client)
    client.on('close', () => clients.delete(client))
    forward(client, upstream, up, link, bytes => { link.sent += bytes }, opened + roundTrip)
    forward(upstream, client, down, link, bytes => { link.received += bytes }, 0)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  link.port = server.address().port
  return link

  /** Ends every connection, so that the next request opens one. */
  function hangUp () {
    for (const client of clients) client.destroy()
  }

  function close () {
    hangUp()
    server.close()
  }
}

function lane (bitsPerSecond, delay) {
  return { perByte: 8000 / bitsPerSecond, delay, free: 0 }
}

function forward (from, to, lane, link, count, notBefore) {
  let queued = 0
  let arrival = 0 // of what was queued last: order is kept even when shaping is switched
  from.on('data', bytes => {
    count(bytes.length)
    const now = performance.now()
    if (link.shaped) {
      lane.free = Math.max(lane.free, now) + bytes.length * lane.perByte
      arrival = Math.max(arrival, Math.max(lane.free, notBefore) + lane.delay)
    }
    const done = () => { queued -= bytes.length; to.write(bytes); if (queued < 1 << 18) from.resume() }
    const wait = arrival - now
    queued += bytes.length
    if (1 << 18 <= queued) from.pause()
    if (wait <= 0 && queued === bytes.length) done()
    else setTimeout(done, Math.max(wait, 0))
  })
  from.on('end', () => setTimeout(() => to.end(), Math.max(arrival - performance.now(), 0) + 1))
  for (const event of ['error', 'close']) from.on(event, () => setTimeout(() => to.destroy(), Math.max(arrival - performance.now(), 0) + 50))
}
