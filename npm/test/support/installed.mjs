// The package as users have it: packed, and installed into an empty folder.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch } from './browser.mjs';
import { serve } from './driblet.mjs';

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

/**
 * Installs the package and starts a server and a browser before the tests of a file, then runs `prepare`, and removes
 * them after the tests. Returns them; they exist once `prepare` runs.
 */
export function useInstalled(prepare = () => {}) {
  const used = {};
  before(async () => {
    used.packed = install();
    used.server = await serve();
    used.browser = await launch();
    await prepare();
  });
  after(async () => {
    await used.browser?.close();
    await used.server?.close();
    used.packed?.remove();
  });
  return used;
}

/** Fails unless these files of the folder with the package have no type errors in a strict project. */
export function assertTypesRight({ folder }, files, ...options) {
  const tsc = join(here, 'node_modules', 'typescript', 'lib', 'tsc.js');
  const strict = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext'];
  try {
    execFileSync(process.execPath, [tsc, ...strict, ...options, ...files], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  } catch (error) {
    assert.fail(error.stdout || error.message);
  }
}
