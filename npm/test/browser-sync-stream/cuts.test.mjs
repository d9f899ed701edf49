// Cut points: those of the replacement for npm `rabin`, and driblet's, against those of the package itself.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { release } from '../support/driblet.mjs';
import { chunksOf } from '../support/rabin.mjs';
import { browserSyncStream } from '../support/browser-sync-stream.mjs';
import { temporaryFolder } from '../support/folder.mjs';

const { cases } = JSON.parse(readFileSync(new URL('../../../spec/rabin-cuts.json', import.meta.url), 'utf8'));

const folder = temporaryFolder('cuts');

/** The inputs that this file defines; those of the bench's corpus are not here. */
const INPUTS = {
  zeros: (length) => Buffer.alloc(length),
  xorshift(length) {
    let state = 1;
    return Buffer.from(
      Array.from({ length }, () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return state & 255;
      }),
    );
  },
  text(length) {
    const lines = [];
    for (let i = 0, left = length; 0 < left; i += 1) {
      lines.push(`line ${i} of a file that changes: ${(i * i) % 9973}\n`);
      left -= lines.at(-1).length;
    }
    return Buffer.from(lines.join('')).subarray(0, length);
  },
};

/** The cuts of driblet's sender, without a receiver. */
function indexed(path, options) {
  return new Promise((resolve, reject) => {
    const found = [];
    const stream = browserSyncStream.send(path, options);
    stream.on('error', reject);
    stream.on('indexing', (chunk) => {
      found.push(chunk);
      if (chunk.offset + chunk.length === readFileSync(path).length) {
        resolve(found);
        stream.destroy();
      }
    });
  });
}

const digest = (lengths) =>
  createHash('sha256')
    .update(Buffer.from(Uint32Array.from(lengths).buffer))
    .digest('hex');

test('both cut where npm rabin cuts', async () => {
  const known = cases.filter(({ input, len }) => input in INPUTS && 0 < len);
  assert.ok(20 < known.length, `${known.length} cases`);
  for (const { input, len, options, sha256_of_lengths: expected } of known) {
    const name = `${input} ${len} ${JSON.stringify(options)}`;
    const bytes = INPUTS[input](len);
    const path = join(folder, 'input');
    writeFileSync(path, bytes);
    const defaults = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== 0));
    assert.equal(
      digest(chunksOf(bytes, defaults).map((chunk) => chunk.bytes.length)),
      expected,
      `the stand-in: ${name}`,
    );
    assert.equal(digest((await indexed(path, options)).map(({ length }) => length)), expected, `ours: ${name}`);
  }
});

test('a real release: equal cuts and hashes, of all chunks', async () => {
  const path = release('5.9.2');
  const expected = chunksOf(readFileSync(path)).map(({ hash, bytes }) => [hash, bytes.length]);
  assert.deepEqual(
    (await indexed(path)).map(({ hash, length }) => [hash, length]),
    expected,
  );
});
