// Syncs in Node, for tests that want the bytes and all that the handle says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** Syncs, reads and closes. Returns the bytes and what the handle says, or the error. */
export async function attemptBy(sync, url, options) {
  try {
    const handle = await sync(url, options);
    const bytes = Buffer.from(await handle.bytes());
    const isStored = await handle.stored;
    const { version, cost, warning } = handle;
    handle.close();
    assert.equal(isStored, warning === undefined);
    return { version, cost, warning, bytes };
  } catch (error) {
    return error;
  }
}

/** Fails unless an attempt returned the bytes of that file. */
export function assertIsFile({ bytes, code, message }, path) {
  assert.ok(bytes, `${code}: ${message}`);
  assert.ok(readFileSync(path).equals(bytes));
}
