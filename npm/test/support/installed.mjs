// The package as users have it: packed, and installed into an empty folder.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = fileURLToPath(new URL('../..', import.meta.url));

/** Packs and installs the package. Returns the folder and the package's files. */
export function install() {
  const folder = mkdtempSync(join(tmpdir(), 'driblet-package-'));
  const said = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: here,
    encoding: 'utf8',
  });
  const parsed = JSON.parse(said);
  // npm 12 returns packages in an object.
  const packed = Array.isArray(parsed) ? parsed[0] : Object.values(parsed)[0];
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--offline', join(folder, packed.filename)], {
    cwd: folder,
    stdio: 'pipe',
  });
  /** Copies the installed package to where `BASES.installed` says. */
  const publish = ({ root }) =>
    cpSync(join(folder, 'node_modules', 'driblet'), join(root, 'driblet'), { recursive: true });
  return {
    folder,
    publish,
    files: packed.files.map(({ path }) => path),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
