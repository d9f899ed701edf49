// `npm run circles`: no two files import each other, directly or around, and each folder imports only the folders below
// it: page, worker, sync, stores. Imports of types count.
const above = { shared: 'page|worker|sync', stores: 'page|worker|sync', sync: 'page|worker', worker: 'page' };

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(above).map(([folder, upper]) => ({
      name: `${folder}-imports-nothing-above-it`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: `^src/(${upper})/` },
    })),
  ],
  options: { tsPreCompilationDeps: true, tsConfig: { fileName: 'tsconfig.json' } },
};
