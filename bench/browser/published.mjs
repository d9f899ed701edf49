// A `driblet serve` that publishes the two versions of a pair in turns, and the Chromium that visits it.
import { spawn } from 'node:child_process'
import { copyFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

export const CHROMIUM = '/usr/bin/chromium'
export const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

/** Publishes a version of the pair, `old` or `new`, as `file`. */
export async function publish (pair, which, file) {
  const part = join(dirname(file), '.part')
  await copyFile(join(pair, which), part)
  await rename(part, file)
}

/** Publishes a version, and has the server make the deltas to it from the version before and from `others`, so that no measurement pays for them. */
export async function publishReady (pair, which, file, url, others = []) {
  const before = await head(url)
  await publish(pair, which, file)
  await sleep(2100) // until the file's times are old enough to be trusted
  await head(url)
  for (const name of [before, ...others]) await (await fetch(`${url}.driblet/${name}`)).arrayBuffer()
}

async function head (url) {
  return (await (await fetch(`${url}.driblet/head`)).json()).version
}

/** Starts the server on a folder. */
export async function serve (binary, folder, history, ...options) {
  const child = spawn(binary, ['serve', folder, '--listen', '127.0.0.1:0', '--history', history, ...options], { stdio: ['ignore', 'ignore', 'pipe'] })
  for await (const line of createInterface({ input: child.stderr })) {
    const found = /listening on (https?:\/\/\S+?)\/?$/.exec(line.trim())
    if (found) { child.stderr.resume(); return { child, url: found[1] } }
  }
  throw new Error('driblet serve did not start')
}
