// What receivers of live streams decide, by the examples of the specification; and watching in Node.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { backOff } from '../dist/live/backOff.js';
import { eventParser } from '../dist/live/events.js';
import { followed } from '../dist/live/followed.js';
import { deltaBytes, parseHead } from '../dist/live/head.js';
import { watch, watchDirectory } from '../dist/node.js';
import { serve } from './support/driblet.mjs';

const examples = JSON.parse(readFileSync(new URL('../../spec/live.json', import.meta.url), 'utf8'));

/** The events of a stream, and its last retry. */
function read(pieces) {
  const parser = eventParser();
  const events = pieces.flatMap((piece) => parser.feed(piece));
  return { events, retry: parser.retry ?? null };
}

for (const { name, pieces, events, retry, error } of examples.streams) {
  test(`a stream: ${name}`, () => {
    const texts = pieces.map((piece) => (typeof piece === 'string' ? piece : piece.text.repeat(piece.times)));
    const whole = texts.join('');
    for (const cut of [texts, [whole], whole.length < 1000 ? [...whole] : texts]) {
      if (error) assert.throws(() => read(cut), /too long/);
      else assert.deepEqual(read(cut), { events, retry });
    }
  });
}

for (const { name, data, head } of examples.heads) {
  test(`a head: ${name}`, () => assert.deepEqual(parseHead(data) ?? null, head));
}

for (const { name, answers } of examples.follow) {
  test(`which head is followed: ${name}`, () => {
    const follows = followed();
    assert.deepEqual(
      answers.map((answer) => follows.answer(answer, answer.at)),
      answers.map(({ does }) => does),
    );
  });
}

test('the bytes of a delta', () => assert.deepEqual([...deltaBytes('AAEC')], [0, 1, 2]));

test('pauses after failures are random parts of a time that doubles, up to a limit', () => {
  const longest = (retry) => {
    const pauses = backOff(() => 1);
    return Array.from({ length: 7 }, () => pauses.next(retry));
  };
  assert.deepEqual(longest(undefined), [1000, 1000, 2000, 4000, 8000, 8000, 8000]);
  assert.deepEqual(longest(300), [300, 1000, 2000, 4000, 8000, 8000, 8000]);
  // Ten thousand receivers: the server asked this one to come after 7 s.
  assert.deepEqual(longest(7000), [7000, 14000, 14000, 14000, 14000, 14000, 14000]);
  // No timer can wait longer.
  assert.deepEqual(longest(Number('9'.repeat(400))), [600_000, ...Array(6).fill(1_200_000)]);
  const pauses = backOff(() => 0.5);
  pauses.next();
  assert.equal(pauses.next(), 500);
  pauses.reset();
  assert.equal(pauses.next(40), 40);
});

test('Node sees each version of a file and of a directory, also after the server was killed', async () => {
  const server = await serve('--directory', 'app');
  const stop = new AbortController();
  const { signal } = stop;
  try {
    const write = (name, text) => writeFileSync(join(server.root, name), text);
    mkdirSync(join(server.root, 'app'), { recursive: true });
    write('file.txt', 'one');
    write('app/a.txt', 'one');
    await server.snapshot('app');
    const files = watch(new URL('file.txt', server.url), { signal });
    const directories = watchDirectory(new URL('app/', server.url), { signal });
    const next = async () => {
      const [{ value: file }, { value: directory }] = await Promise.all([files.next(), directories.next()]);
      const text = new TextDecoder().decode(await file.bytes());
      const other = new TextDecoder().decode(await directory.bytes('a.txt'));
      file.close();
      directory.close();
      return [text, other];
    };
    assert.deepEqual(await next(), ['one', 'one']);
    const second = next();
    write('file.txt', 'two');
    write('app/a.txt', 'two');
    assert.deepEqual(await second, ['two', 'two']);
    const { port } = server.url;
    const third = next();
    await server.restart('SIGKILL', async () => {
      write('file.txt', 'three');
      write('app/a.txt', 'three');
    });
    assert.equal(server.url.port, port);
    assert.deepEqual(await third, ['three', 'three']);
    const last = files.next();
    stop.abort(new Error('enough'));
    await assert.rejects(last, /enough/);
  } finally {
    stop.abort();
    await server.close();
  }
});
