import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Creates a folder for the tests of a file, and deletes it when all have ended, and the servers that they started. */
export function temporaryFolder(name) {
  const path = mkdtempSync(join(tmpdir(), `driblet-${name}-`));
  process.once('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}
