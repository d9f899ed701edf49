import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** Creates a folder for the tests of a file, and deletes it after them. */
export function temporaryFolder(name) {
  const path = mkdtempSync(join(tmpdir(), `driblet-${name}-`));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
