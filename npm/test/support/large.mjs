/** The length of a file that is too long for a sync to collect in memory: it is stored while it arrives. */
export const LARGE = 40_000_000;

/** The bytes of such a file. No two parts of it are equal. */
export function largeBytes() {
  const bytes = Buffer.alloc(LARGE);
  for (let at = 0; at < LARGE; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
  return bytes;
}
