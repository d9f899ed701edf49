// `npm run circles`: no two files import each other, directly or around, and each file imports only what is below it.
// Imports of types count. From top to bottom:
//
//   entries     index.ts, inline.ts, level.ts, node.ts, storage.ts, directories.ts, directories-node.ts
//   page/       and spawn.ts, with which it starts the workers
//   live/       and live.ts, which follows live streams
//   worker/     and worker.ts, the worker's script; directories-worker.ts, that for directories
//   directory/
//   sync/
//   stores/     and shared/, which may import each other's types
//
// browser-sync-stream/ is beside these: it uses only shared/ and the databases of stores/. So are vite.ts and vite/: they
// use only shared/.
const ENTRIES = 'index|inline|level|node|storage|directories|directories-node|service-worker';
const LAYERS = [
  'page/|spawn\\.ts',
  'live/|live\\.ts',
  'worker/|worker\\.ts|directories-worker\\.ts',
  'directory/',
  'sync/',
  'stores/|shared/',
];

const upward = LAYERS.map((layer, at) => {
  const above = [`(${ENTRIES})\\.ts`, ...LAYERS.slice(0, at)].join('|');
  return { from: `^src/(${layer})`, to: `^src/(${above})` };
});

const forbidden = (name, from, to) => ({ name, severity: 'error', from, to });

module.exports = {
  forbidden: [
    forbidden('no-circles', {}, { circular: true }),
    ...upward.map(({ from, to }) => forbidden('imports-nothing-above-it', { path: from }, { path: to })),
    forbidden(
      'only-page-starts-the-worker',
      { path: `^src/(${ENTRIES})\\.ts`, pathNot: '^src/directories\\.ts' },
      { path: '^src/(spawn|worker)\\.ts' },
    ),
    forbidden(
      'browser-sync-stream-is-apart',
      { path: '^src/browser-sync-stream/' },
      { path: '^src/', pathNot: '^src/(browser-sync-stream|shared)/|^src/stores/database\\.ts' },
    ),
    forbidden('vite-is-apart', { path: '^src/vite[./]' }, { path: '^src/', pathNot: '^src/(vite|shared)/' }),
    forbidden('nothing-imports-vite', { path: '^src/', pathNot: '^src/vite[./]' }, { path: '^src/vite[./]' }),
    forbidden(
      'nothing-imports-browser-sync-stream',
      { path: '^src/', pathNot: '^src/browser-sync-stream/' },
      { path: '^src/browser-sync-stream/' },
    ),
  ],
  options: { tsPreCompilationDeps: true, tsConfig: { fileName: 'tsconfig.json' } },
};
