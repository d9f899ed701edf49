/*
 * Finds the bytes of a release that are new: those that are not in the release before, in a run of at least RUN bytes.
 * This is only for the picture; the delta is made in another way. It takes some tenths of a second, so it runs in a
 * worker.
 */

/** Shorter runs occur by chance. */
const RUN = 16;
const BASE = 0x2c9277b5;

addEventListener('message', ({ data: { old, fresh } }) => {
  const index = indexOf(old);
  postMessage(fresh.map(({ bytes, cells }) => newBytes(index, old, bytes, cells)));
});

/** How many bytes are new in each of `cells` equal parts of `fresh`. */
function newBytes(index, old, fresh, cells) {
  const found = new Float64Array(cells);
  const size = fresh.length / cells;
  eachGap(index, old, fresh, (start, end) => {
    for (let at = start; at < end; ) {
      const cell = Math.floor(at / size);
      const next = Math.min(end, Math.max(at + 1, Math.ceil((cell + 1) * size)));
      found[cell] += next - at;
      at = next;
    }
  });
  return found;
}

/** Calls `tell` for each part of `fresh` between runs that occur in `old`. */
function eachGap(index, old, fresh, tell) {
  // The factor of the byte that leaves the window.
  let leaving = 1;
  for (let i = 0; i < RUN; i += 1) leaving = Math.imul(leaving, BASE);
  let told = 0;
  let at = 0;
  let hash = RUN <= fresh.length ? hashAt(fresh, 0) : 0;
  while (at + RUN <= fresh.length) {
    const run = index.find(hash, fresh, at);
    if (run < 0) {
      hash = (Math.imul(hash, BASE) + fresh[at + RUN] - Math.imul(fresh[at], leaving)) | 0;
      at += 1;
      continue;
    }
    let [start, before] = [at, run];
    while (told < start && 0 < before && fresh[start - 1] === old[before - 1])
      [start, before] = [start - 1, before - 1];
    let [end, after] = [at + RUN, run + RUN];
    while (end < fresh.length && after < old.length && fresh[end] === old[after]) [end, after] = [end + 1, after + 1];
    if (told < start) tell(told, start);
    told = at = end;
    hash = hashAt(fresh, at);
  }
  if (told < fresh.length) tell(told, fresh.length);
}

/** Every RUN-th window of `old` by its hash. If two have the same hash, either will do. */
function indexOf(old) {
  const bits = Math.ceil(Math.log2(old.length / RUN + 1)) + 2;
  const places = new Int32Array(2 ** bits).fill(-1);
  const slot = (hash) => Math.imul(hash, 0x9e3779b1) >>> (32 - bits);
  for (let at = 0; at + RUN <= old.length; at += RUN) {
    const place = slot(hashAt(old, at));
    if (places[place] < 0) places[place] = at;
  }
  return {
    find(hash, fresh, at) {
      const place = places[slot(hash)];
      for (let i = 0; 0 <= place && i < RUN; i += 1) if (old[place + i] !== fresh[at + i]) return -1;
      return place;
    },
  };
}

function hashAt(bytes, at) {
  let hash = 0;
  for (let i = 0; i < RUN; i += 1) hash = (Math.imul(hash, BASE) + bytes[at + i]) | 0;
  return hash;
}
