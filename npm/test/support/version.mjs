// Versions, by a BLAKE3 that is not driblet's.
import { blake3 } from '@noble/hashes/blake3.js';

/** The version of some bytes. */
export function versionOf(bytes) {
  return Buffer.from(blake3(bytes)).toString('hex');
}
