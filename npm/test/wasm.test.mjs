// Runs the protocol's vectors through the wasm modules for browsers: that of every page, and that with all codecs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import loadAllCodecs, { Signer } from '../wasm/codecs/driblet.js';
import load, { Decoder, Verifier, Want } from '../wasm/driblet.js';
import { roomfuls } from '../dist/shared/module.js';
import { allCodecs, loadCodecs, loadCore } from '../dist/sync/core.js';
import { inputOf } from './support/vectors.mjs';
import { versionOf } from './support/version.mjs';

// Node's `fetch` reads no files, so the module is loaded before.
await load({ module_or_path: readFileSync(new URL('../wasm/driblet_bg.wasm', import.meta.url)) });
const core = await loadCore();
const basic = { core, Decoder };
const wasm = readFileSync(new URL('../wasm/codecs/driblet_bg.wasm', import.meta.url));
await loadAllCodecs({ module_or_path: wasm });
const all = { core: await loadCodecs(), Decoder: allCodecs };
const vectors = JSON.parse(readFileSync(new URL('../../spec/vectors.json', import.meta.url), 'utf8'));
const LIMIT = 2 ** 40;

/** Applies a delta whose bytes come in pieces of `size`. Returns the target, or the reason of the refusal. */
function decode({ core }, decoder, delta, size, basisAt) {
  const target = [];
  const drain = () => {
    for (;;) {
      const want = decoder.poll();
      if (want === Want.Output) target.push(core.view(decoder.start, decoder.end).slice());
      else if (want !== Want.Basis) return want;
      else {
        const bytes = basisAt(decoder.start, decoder.end);
        core.fill(bytes.length).set(bytes);
        decoder.handleBasis(core.room, bytes.length);
      }
    }
  };
  try {
    for (let at = 0; at < delta.length; at += size) {
      for (const length of roomfuls(core, delta.subarray(at, at + size))) decoder.handleInput(core.room, length);
      assert.ok([Want.Input, Want.Same].includes(drain()));
    }
    decoder.handleEnd();
    return { same: drain() === Want.Same, target: Buffer.concat(target) };
  } catch (error) {
    if (error.code === undefined) throw error;
    return { refused: error.code };
  } finally {
    decoder.free();
  }
}

function assertOutcome(outcome, vector, held) {
  if (vector.refused !== null) {
    assert.ok(
      [vector.refused].flat().includes(outcome.refused),
      `refused as ${outcome.refused}, not ${vector.refused}`,
    );
    return;
  }
  assert.equal(outcome.refused, undefined);
  assert.deepEqual(outcome.same ? held : outcome.target, inputOf(vector.target));
}

for (const vector of vectors.deltas) {
  test(`delta: ${vector.name}`, () => {
    const basis = inputOf(vector.basis);
    const delta = Buffer.from(vector.delta, 'hex');
    const limit = vector.limits?.target ?? LIMIT;
    const decoded = (module, size) => {
      const decoder =
        basis.length === 0 && !vector.named
          ? module.Decoder.none(limit)
          : module.Decoder.version(vector.named ?? versionOf(basis), basis.length, limit);
      return decode(module, decoder, delta, size, (from, to) => basis.subarray(from, to));
    };
    // The module of every page says that it does not know the others' regions.
    const isBasic = !/^(dense|containers|predicted):/.test(vector.name);
    for (const size of [1, 7, delta.length + 1]) {
      assertOutcome(decoded(all, size), vector, basis);
      if (isBasic) assertOutcome(decoded(basic, size), vector, basis);
      else assert.equal(decoded(basic, size).refused, 'bad-codec');
    }
  });
}

for (const vector of vectors.signatures) {
  test(`signature: ${vector.name}`, () => {
    assert.equal(signed(vector).hex, vector.signature);
  });
}

for (const vector of vectors.matched) {
  test(`matched answer: ${vector.name}`, () => {
    const held = inputOf(vector.held);
    const { signer, hex } = signed(vector);
    assert.equal(hex, vector.signature);
    const answer = Buffer.from(vector.answer, 'hex');
    let outcome;
    try {
      const matched = signer.matched(answer);
      const basisAt = (start, end) => {
        const spans = matched.locate(start, end);
        const parts = [];
        for (let at = 0; at < spans.length; at += 2) parts.push(held.subarray(spans[at], spans[at + 1]));
        return Buffer.concat(parts);
      };
      const delta = matched && answer.subarray(matched.consumed);
      outcome = matched
        ? decode(all, allCodecs.matched(matched, LIMIT), delta, 1_000, basisAt)
        : { refused: 'truncated' };
    } catch (error) {
      outcome = { refused: error.code };
    }
    assertOutcome(outcome, vector, held);
  });
}

for (const vector of vectors.versions) {
  test(`version: ${vector.name}`, () => {
    const bytes = inputOf(vector.input);
    assert.deepEqual(groupsRight(bytes, vector.version, []), [true]);
    if (vector.chaining_values.length === 0) return;
    const outboard = Buffer.from([vector.group, ...Buffer.from(vector.chaining_values.join(''), 'hex')]);
    assert.deepEqual(
      groupsRight(bytes, vector.version, outboard),
      vector.chaining_values.map(() => true),
    );
    outboard[1] ^= 1;
    assert.deepEqual(groupsRight(bytes, vector.version, outboard), [true], 'one that is damaged is as none');
    outboard[1] ^= 1;
    const last = bytes.length - 1;
    bytes[last] ^= 1;
    assert.deepEqual(groupsRight(bytes, vector.version, outboard).indexOf(false), vector.chaining_values.length - 1);
    assert.deepEqual(groupsRight(bytes, vector.version, []), [false]);
  });
}

test('invalid versions, chunk sizes and nonces are refused by name', () => {
  const refused = (act, code) => assert.throws(act, (error) => error instanceof Error && error.code === code);
  refused(() => Decoder.version('ABC', 0, LIMIT), 'bad-version');
  refused(() => new Signer(11, 7), 'bad-chunk-size');
  refused(() => new Signer(18, 9), 'bad-chunk-size');
  refused(() => new Signer(11, 9).sign(new Uint8Array(3), new Uint8Array()), 'bad-nonce');
  refused(() => new Signer(11, 9).matched(new Uint8Array(3)), 'not-signed');
});

/** Which groups of some bytes are right, by a version's outboard. */
function groupsRight(bytes, version, outboard) {
  const verifier = new Verifier(version, bytes.length, Uint8Array.from(outboard));
  const right = [];
  for (let at = 0; at === 0 || at < bytes.length; at += verifier.groupLength) {
    verifier.begin(at);
    for (const length of roomfuls(core, bytes.subarray(at, at + verifier.groupLength)))
      verifier.update(core.room, length);
    right.push(verifier.isRight());
  }
  verifier.free();
  return right;
}

function signed({ held, rungs, nonce, list }) {
  const signer = new Signer(...rungs);
  for (const length of roomfuls(all.core, inputOf(held))) signer.handleInput(all.core.room, length);
  return { signer, hex: Buffer.from(signer.sign(Buffer.from(nonce, 'hex'), Buffer.from(list, 'hex'))).toString('hex') };
}
