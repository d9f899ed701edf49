// Writes dist/LICENCES.txt: the licences of the crates in the wasm modules, and of the packages in
// dist/browser-sync-stream/.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULES = ['driblet-wasm', 'driblet-wasm-browser-sync-stream'];

/** `inputs` are the files in the bundles, relative to `here`. */
export function writeLicences(here, inputs) {
  const sharing = new Map();
  for (const { name, folder } of [...crates(), ...packages(here, inputs)]) {
    for (const text of textsIn(folder)) sharing.set(text, [...(sharing.get(text) ?? []), name]);
  }
  const parts = [...sharing].map(([text, names]) => `${names.join(', ')}\n\n${text.trim()}\n`);
  writeFileSync(`${here}dist/LICENCES.txt`, parts.join(`\n${'-'.repeat(80)}\n\n`));
}

/** The crates that are compiled into the modules, and the C code in them. */
function crates() {
  const manifest = fileURLToPath(new URL('../Cargo.toml', import.meta.url));
  const options = [
    'metadata',
    '--format-version=1',
    '--locked',
    '--filter-platform=wasm32-unknown-unknown',
    '--manifest-path',
    manifest,
  ];
  const { packages, resolve } = JSON.parse(
    execFileSync('cargo', options, { encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  const dependencies = new Map(
    resolve.nodes.map(({ id, deps }) => [
      id,
      deps.filter(({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null)).map(({ pkg }) => pkg),
    ]),
  );
  const found = new Set();
  const visit = (id) => {
    if (found.has(id)) return;
    found.add(id);
    dependencies.get(id).forEach(visit);
  };
  packages.filter(({ name }) => MODULES.includes(name)).forEach(({ id }) => visit(id));
  return packages
    .filter(({ id, source }) => source && found.has(id))
    .flatMap(({ name, version, manifest_path }) => {
      const folder = dirname(manifest_path);
      const own = { name: `${name} ${version}`, folder };
      return name === 'zstd-sys' ? [own, { name: 'zstd', folder: join(folder, 'zstd') }] : [own];
    });
}

/** The packages that files belong to. */
function packages(here, inputs) {
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []));
  return [...folders].map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(here, folder, 'package.json'), 'utf8'));
    return { name: `${name} ${version}`, folder: join(here, folder) };
  });
}

function textsIn(folder) {
  return readdirSync(folder)
    .filter((name) => /^(licen[cs]e|copying|copyright|notice)/i.test(name))
    .flatMap((name) => {
      try {
        return readFileSync(join(folder, name), 'utf8');
      } catch {
        return []; // A folder of that name.
      }
    });
}
