// Cut points like npm `rabin`'s, computed by the definition in spec/browser-sync-stream.md and checked against
// spec/rabin-cuts.json. It replaces that package, whose binding builds on no current Node. It shares no code with
// driblet's own.
import { createHash } from 'node:crypto';

const P = 0x3da3358b4dc173n;
const DEGREE = 53n;
const WINDOW = 64;

/** The remainder of a polynomial. */
function rest(value) {
  for (
    let degree = BigInt(value.toString(2).length - 1);
    DEGREE <= degree && value !== 0n;
    degree = BigInt(value.toString(2).length - 1)
  )
    value ^= P << (degree - DEGREE);
  return value;
}

/** A table of 256 polynomials of up to 61 bits, as upper and lower halves. */
function table(of) {
  const values = Array.from({ length: 256 }, (_, byte) => of(BigInt(byte)));
  return [
    Uint32Array.from(values, (value) => Number(value >> 32n)),
    Uint32Array.from(values, (value) => Number(value & 0xffffffffn)),
  ];
}

const [leaveHigh, leaveLow] = table((byte) => rest(byte << BigInt(8 * (WINDOW - 1))));
const [reduceHigh, reduceLow] = table((byte) => rest(byte << DEGREE) | (byte << DEGREE));

/** The chunks of some bytes: their hashes in hex, and their bytes. */
export function chunksOf(bytes, { bits = 12, min = 8192, max = 32768 } = {}) {
  const chunks = [];
  for (let start = 0; start < bytes.length; ) {
    const end = start + cut(bytes.subarray(start), 2 ** bits - 1, min, max);
    const chunk = bytes.subarray(start, end);
    chunks.push({ hash: createHash('sha256').update(chunk).digest('hex'), bytes: chunk });
    start = end;
  }
  return chunks;
}

/** The length of the first chunk. */
function cut(bytes, mask, min, max) {
  const window = new Uint8Array(WINDOW);
  let [high, low, position] = [0, 0, 0];
  const slide = (byte) => {
    const out = window[position];
    window[position] = byte;
    position = (position + 1) % WINDOW;
    high ^= leaveHigh[out];
    low ^= leaveLow[out];
    const index = high >>> 13;
    high = ((high << 8) | (low >>> 24)) ^ reduceHigh[index];
    low = ((low << 8) | byte) ^ reduceLow[index];
  };
  slide(1);
  for (let at = 0; at < bytes.length; at += 1) {
    slide(bytes[at]);
    if ((min <= at + 1 && (low & mask) === 0) || max <= at + 1) return at + 1;
  }
  return bytes.length;
}
