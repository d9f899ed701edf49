// The bytes that a vector of spec/vectors.json describes.
export function inputOf(recipe) {
  if ('hex' in recipe) return Buffer.from(recipe.hex, 'hex');
  if ('random' in recipe) return randomBytes(BigInt(recipe.random), recipe.len);
  if ('repeat' in recipe) return Buffer.alloc(recipe.len, Buffer.from(recipe.repeat, 'hex'));
  if ('concat' in recipe) return Buffer.concat(recipe.concat.map(inputOf));
  const [whole, start, end] = recipe.slice;
  return inputOf(whole).subarray(start, end);
}

/** xorshift64*, one byte a step. */
function randomBytes(start, length) {
  const bytes = Buffer.alloc(length);
  let state = start | 1n;
  for (let at = 0; at < length; at += 1) {
    state ^= state >> 12n;
    state ^= BigInt.asUintN(64, state << 25n);
    state ^= state >> 27n;
    bytes[at] = Number(BigInt.asUintN(64, state * 0x2545f4914f6cdd1dn) >> 56n);
  }
  return bytes;
}
