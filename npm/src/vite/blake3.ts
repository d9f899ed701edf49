/*
 * BLAKE3 of a short text (https://github.com/BLAKE3-team/BLAKE3-specs): the server names the folder of a root's history
 * by it. The wasm module has no call for a hash alone.
 */

const IV = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);
const ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
/** The words that each of the eight mixings of a round takes: the four columns, then the four diagonals. */
const MIXINGS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;
const ROUNDS = 7;
const BLOCK = 64;
const CHUNK = 1024;
const [CHUNK_START, CHUNK_END, PARENT, ROOT] = [1, 2, 4, 8];

/** What one compression takes. `counter` is the number of the chunk, and fits into 32 bits. */
interface Node {
  key: Uint32Array;
  block: Uint32Array;
  counter: number;
  length: number;
  flags: number;
}

/** The hash of these bytes, as 64 hex digits. */
export function blake3(bytes: Uint8Array): string {
  const root = nodeOf(bytes, 0);
  const words = compress({ ...root, flags: root.flags | ROOT });
  const digest = new DataView(new ArrayBuffer(32));
  words.forEach((word, at) => digest.setUint32(at * 4, word, true));
  return Array.from(new Uint8Array(digest.buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The node above the chunks of these bytes. `counter` is the number of the first chunk. */
function nodeOf(bytes: Uint8Array, counter: number): Node {
  if (bytes.length <= CHUNK) return lastBlock(bytes, counter);
  // The left side has as many chunks as the largest power of two that leaves a chunk for the right side.
  const chunks = 2 ** (Math.ceil(Math.log2(Math.ceil(bytes.length / CHUNK))) - 1);
  const left = compress(nodeOf(bytes.subarray(0, chunks * CHUNK), counter));
  const right = compress(nodeOf(bytes.subarray(chunks * CHUNK), counter + chunks));
  return { key: IV, block: Uint32Array.of(...left, ...right), counter: 0, length: BLOCK, flags: PARENT };
}

/** The last block of a chunk, after all blocks before it. */
function lastBlock(chunk: Uint8Array, counter: number): Node {
  let key: Uint32Array = IV;
  for (let at = 0; ; at += BLOCK) {
    const bytes = chunk.subarray(at, at + BLOCK);
    const flags = at === 0 ? CHUNK_START : 0;
    const node = { key, block: wordsOf(bytes), counter, length: bytes.length, flags };
    if (chunk.length <= at + BLOCK) return { ...node, flags: flags | CHUNK_END };
    key = compress(node);
  }
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const padded = new DataView(new ArrayBuffer(BLOCK));
  bytes.forEach((byte, at) => padded.setUint8(at, byte));
  return Uint32Array.from({ length: BLOCK / 4 }, (_, at) => padded.getUint32(at * 4, true));
}

function compress({ key, block, counter, length, flags }: Node): Uint32Array {
  const state = Uint32Array.of(...key, ...IV.subarray(0, 4), counter, 0, length, flags);
  let message = block;
  for (let round = 0; round < ROUNDS; round += 1) {
    MIXINGS.forEach((words, at) => mix(state, words, message[2 * at]!, message[2 * at + 1]!));
    message = Uint32Array.from(ORDER, (from) => message[from]!);
  }
  return state.subarray(0, 8).map((word, at) => word ^ state[at + 8]!);
}

function mix(state: Uint32Array, [a, b, c, d]: readonly [number, number, number, number], x: number, y: number): void {
  for (const [word, turnD, turnB] of [
    [x, 16, 12],
    [y, 8, 7],
  ] as const) {
    state[a] = state[a]! + state[b]! + word;
    state[d] = rotate(state[d]! ^ state[a]!, turnD);
    state[c] = state[c]! + state[d]!;
    state[b] = rotate(state[b]! ^ state[c]!, turnB);
  }
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}
