// A React app with code splitting, and ten changes to it, for builds by vite. One app for each process.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { temporaryFolder } from './folder.mjs';

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
export const PAGES = [
  'Accounts',
  'Billing',
  'Calendar',
  'Documents',
  'Errors',
  'Forecast',
  'Groups',
  'Home',
  'Invoices',
];
/** The names that one component has in turn. */
const BUTTONS = ['Button', 'Key', 'Switch', 'Trigger'];
const COMPONENTS = [BUTTONS[0], 'Card', 'Chart', 'Dialog', 'Field', 'Table'];
const WORDS = `account amount balance before beside between budget cancel change column confirm create current delete
  details document download estimate every export filter folder history import invoice limit member message month
  number open order owner paid past payment period person quarter received reject remove report request review row
  save search select share sort state status subject summary total transfer unpaid update upload user value year`;

/** The app's sources: each file's text by its path. */
const sources = new Map();
export const root = temporaryFolder('vite-app');

/** Words that look chosen, and are the same in each run. */
function text(seed, count) {
  const words = WORDS.split(/\s+/);
  let state = [...seed].reduce((state, char) => Math.imul(state ^ char.charCodeAt(0), 16777619), 2166136261);
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return words[(state >>> 0) % words.length];
  };
  return Array.from({ length: count }, next).join(' ');
}

/** The source of a page. `button` is the component that it uses now. */
function page(name, button) {
  const section = (at) => `
      <Card title="${text(`${name} title ${at}`, 4)}">
        <p>${text(`${name} text ${at}`, 60)}</p>
        <Field label="${text(`${name} label ${at}`, 3)}" value={format(state.value + ${at})} />
        <${button} onClick={() => change('${text(`${name} action ${at}`, 2)}', ${at})}>${text(`${name} button ${at}`, 2)}</${button}>
      </Card>`;
  return `import { useReducer } from 'react';
import ${button} from '../components/${button}.jsx';
import Card from '../components/Card.jsx';
import Field from '../components/Field.jsx';
import { format, reduce } from '../lib/values.js';
import './${name}.css';

export default function ${name}() {
  const [state, dispatch] = useReducer(reduce, { value: ${name.length} });
  const change = (kind, by) => dispatch({ kind, by });
  return (
    <main className="${name}">
      <h1>${text(`${name} heading`, 3)}</h1>${Array.from({ length: 12 }, (_, at) => section(at)).join('')}
    </main>
  );
}
`;
}

function component(name) {
  return `import { useId } from 'react';

const HINTS = ${JSON.stringify(
    Array.from({ length: 15 }, (_, at) => text(`${name} hint ${at}`, 8)),
    null,
    2,
  )};

export default function ${name}({ title, label, value, children, ...more }) {
  const id = useId();
  return <div className="${name}" title={HINTS[id.length % HINTS.length]} {...more}>{title ?? label}{value}{children}</div>;
}
`;
}

function style(name) {
  const rule = (at) => `.${name} > :nth-child(${at}) {\n  padding: ${at}px;\n  order: ${(at * 7) % 20};\n}\n`;
  return Array.from({ length: 20 }, (_, at) => rule(at)).join('');
}

function svg(name) {
  const path = (at) => `<path id="${name}${at}" d="M${at} ${(at * 37) % 400}L${(at * 91) % 400} ${at * 2}z"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg">${Array.from({ length: 200 }, (_, at) => path(at)).join('\n')}</svg>\n`;
}

export function write(path, text) {
  sources.set(path, text);
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** Replaces a text that is there. */
function edit(path, from, to) {
  assert.ok(sources.get(path).includes(from), `${from} in ${path}`);
  write(path, sources.get(path).replaceAll(from, to));
}

function rename(from, to) {
  sources.set(to, sources.get(from));
  sources.delete(from);
  renameSync(join(root, from), join(root, to));
}

function remove(path) {
  sources.delete(path);
  rmSync(join(root, path));
}

function addPage(name, button = 'Button') {
  write(`src/pages/${name}.jsx`, page(name, button));
  write(`src/pages/${name}.css`, style(name));
}

/** Installs these versions, as npm would. */
function install(packages) {
  rmSync(join(root, 'node_modules'), { recursive: true, force: true });
  for (const [name, folder] of Object.entries(packages)) {
    cpSync(join(modules, folder), join(root, 'node_modules', name), { recursive: true });
  }
}

const OLD_REACT = {
  react: 'react-19.2.9',
  'react-dom': 'react-dom-19.2.9',
  scheduler: 'react-dom-19.2.9/node_modules/scheduler',
};
const NEW_REACT = { react: 'react', 'react-dom': 'react-dom', scheduler: 'scheduler' };

/** Writes the app's first sources. */
export function makeApp() {
  write(
    'index.html',
    '<!doctype html><title>app</title><div id="app"></div><script type="module" src="/src/main.jsx"></script>',
  );
  write('public/robots.txt', 'User-agent: *\n');
  write('src/logo.svg', svg('logo'));
  write(
    'src/main.jsx',
    `import { StrictMode, Suspense, lazy } from 'react';
import { createRoot } from 'react-dom/client';
import Table from './components/Table.jsx';
import logo from './logo.svg';

const pages = Object.values(import.meta.glob('./pages/*.jsx')).map(lazy);
const rows = pages.map((Page, at) => <Suspense key={at} fallback="loading"><Page /></Suspense>);
createRoot(document.getElementById('app')).render(
  <StrictMode>
    <img src={logo} alt="the first logo" />
    <Table>{rows}</Table>
  </StrictMode>,
);
`,
  );
  write(
    'src/lib/values.js',
    `const NAMES = ${JSON.stringify(text('values', 200).split(' '))};
export const format = (value) => \`\${NAMES[value % NAMES.length]} \${value.toFixed(2)}\`;
export const reduce = (state, { kind, by }) => ({ ...state, kind, value: state.value + by * 1.01 });
`,
  );
  for (const name of COMPONENTS) write(`src/components/${name}.jsx`, component(name));
  for (const name of PAGES) addPage(name);
  install(OLD_REACT);
}

export const DEPENDENCIES = 'the version of a dependency, or an image';

/** Ten changes, made three times: each has its name and what it does in a round. */
export const CHANGES = {
  'a line of a page': (round) => edit(`src/pages/${PAGES[0]}.jsx`, '<h1>', `<h1>${round} `),
  'a line of a shared module': (round) => edit('src/lib/values.js', `1.0${round + 1}`, `1.0${round + 2}`),
  'a line of a style': (round) =>
    edit(`src/pages/${PAGES[1]}.css`, `padding: ${round + 3}px`, `padding: ${round + 3}em`),
  'a new page': (round) => addPage(`Page${round}`, BUTTONS[round]),
  'a removed page': (round) => {
    remove(`src/pages/${PAGES[8 - round]}.jsx`);
    remove(`src/pages/${PAGES[8 - round]}.css`);
  },
  'a renamed page': (round) => rename(`src/pages/${PAGES[round + 2]}.jsx`, `src/pages/A${round}.jsx`),
  'a new shared module': (round) => {
    write(`src/lib/new${round}.js`, `export const words${round} = ${JSON.stringify(text(`new ${round}`, 300))};\n`);
    for (const name of PAGES.slice(0, 2)) {
      edit(`src/pages/${name}.jsx`, "import './", `import { words${round} } from '../lib/new${round}.js';\nimport './`);
      edit(`src/pages/${name}.jsx`, '</h1>', `{words${round}}</h1>`);
    }
  },
  'a renamed component': (round) => {
    const [from, to] = [BUTTONS[round], BUTTONS[round + 1]];
    rename(`src/components/${from}.jsx`, `src/components/${to}.jsx`);
    for (const path of [...sources.keys()].filter((path) => /jsx$/.test(path))) {
      if (sources.get(path).includes(from)) edit(path, from, to);
    }
  },
  'a line of the entry': (round) => edit('src/main.jsx', ' logo"', ` ${round} logo"`),
  [DEPENDENCIES]: (round) =>
    [() => install(NEW_REACT), () => install(OLD_REACT), () => edit('src/logo.svg', 'M7 ', 'M8 ')][round](),
};

/** All files below a folder: their bytes by their paths. */
export function tree(folder) {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = found.map((entry) => join(entry.parentPath, entry.name)).sort();
  return new Map(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path)]));
}

export function isSame(one, other) {
  return one.size === other.size && [...one].every(([path, bytes]) => other.get(path)?.equals(bytes));
}

/** Builds the app into a folder. Returns what the folder has then. */
export async function buildInto(outDir) {
  await build({ root, configFile: false, logLevel: 'error', build: { outDir, emptyOutDir: true } });
  return tree(outDir);
}
