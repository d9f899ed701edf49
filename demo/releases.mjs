// The app whose builds the demo publishes as releases: its sources are in site/, and vite builds it after each change.
import { cpSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress } from 'node:zlib';

// vite and two versions of React are there.
const modules = fileURLToPath(new URL('../npm/node_modules/', import.meta.url));

/** Finds the package, which is not installed for the app. */
const reloading = {
  name: 'driblet/reload',
  enforce: 'pre',
  resolveId: (id) => (id === 'driblet/reload' ? join(modules, '../dist/page/reloadWhenReady.js') : undefined),
};

/** What is installed at first and later: folders of npm's by the names that the app uses. */
const OLD_REACT = {
  react: 'react-19.2.9',
  'react-dom': 'react-dom-19.2.9',
  scheduler: 'react-dom-19.2.9/node_modules/scheduler',
};
const NEW_REACT = { react: 'react', 'react-dom': 'react-dom', scheduler: 'scheduler' };

/** Each release, and what makes it from the sources of the release before. */
const RELEASES = [
  { says: 'the first release', change: ({ remove }) => remove('pages/Converter.jsx') },
  {
    says: 'one sentence of one page is another',
    change: ({ edit }) => edit('pages/Jam.jsx', 'in a cool cellar', 'in a dark and cool cellar'),
  },
  { says: 'a new page, Converter', change: ({ add }) => add('pages/Converter.jsx') },
  {
    says: 'a component that most pages use has another name',
    change({ edit, rename, files }) {
      rename('components/Field.jsx', 'components/Entry.jsx');
      rename('components/Field.css', 'components/Entry.css');
      for (const path of files()) edit(path, 'Field', 'Entry');
    },
  },
  { says: 'React 19.2.9 becomes 19.3.1', change: ({ install }) => install(NEW_REACT) },
  { says: 'the page Tea is removed', change: ({ remove }) => remove('pages/Tea.jsx') },
];

/**
 * Builds all releases below a folder, for a server that has them at the path `base`. Resolves to their folders, what each
 * of them changes, and the files that a browser would fetch: those that have changed, and for a first visit the whole.
 */
export async function buildReleases(home, base) {
  const { build } = await import(pathToFileURL(createRequire(modules).resolve('vite')).href);
  const sources = mkdtempSync(join(home, 'site-'));
  cpSync(fileURLToPath(new URL('site', import.meta.url)), sources, { recursive: true });
  const changes = changesOf(sources);
  changes.install(OLD_REACT);
  const built = [];
  let before = new Map();
  for (const [at, { says, change }] of RELEASES.entries()) {
    change(changes);
    process.env.VITE_RELEASE = String(at + 1);
    const folder = join(home, 'releases', String(at + 1));
    await build({
      root: sources,
      base,
      configFile: false,
      logLevel: 'error',
      plugins: [reloading],
      build: { outDir: folder, emptyOutDir: true },
    });
    const files = filesOf(folder, before);
    const changed = [...files].filter(([path, file]) => before.get(path) !== file).map(([, file]) => file);
    built.push({ folder, says, changed, whole: [...files.values()] });
    before = files;
  }
  const compressed = async (files) => {
    const lengths = await Promise.all(files.map((file) => file.compressed));
    return { files: files.length, brotli: lengths.reduce((sum, length) => sum + length, 0) };
  };
  return Promise.all(
    built.map(async ({ changed, whole, ...release }) => ({
      ...release,
      changed: await compressed(changed),
      whole: await compressed(whole),
    })),
  );
}

/** What releases do to the sources. */
function changesOf(root) {
  const source = (path) => join(root, 'src', path);
  return {
    files: () => readdirSync(join(root, 'src'), { recursive: true }).filter((path) => /\.\w+$/.test(path)),
    add: (path) => cpSync(fileURLToPath(new URL(`site/src/${path}`, import.meta.url)), source(path)),
    remove: (path) => rmSync(source(path)),
    rename: (from, to) => renameSync(source(from), source(to)),
    edit(path, from, to) {
      writeFileSync(source(path), readFileSync(source(path), 'utf8').replaceAll(from, to));
    },
    install(packages) {
      for (const [name, folder] of Object.entries(packages)) {
        rmSync(join(root, 'node_modules', name), { recursive: true, force: true });
        cpSync(join(modules, folder), join(root, 'node_modules', name), { recursive: true });
      }
    },
  };
}

/** The files of a build by their paths, with their lengths under brotli. Those that are as before are the same objects. */
function filesOf(folder, before) {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    found.map(({ parentPath, name }) => {
      const place = join(parentPath, name);
      const path = place.slice(folder.length + 1);
      const bytes = readFileSync(place);
      const old = before.get(path);
      if (old?.bytes.equals(bytes)) return [path, old];
      return [path, { bytes, compressed: promisify(brotliCompress)(bytes).then(({ length }) => length) }];
    }),
  );
}
