// The service worker of the app below /site/. Its URL names the store in which the page keeps the app too.
import { serveDirectory } from '/driblet/dist/service-worker.js';

serveDirectory('/site/', { store: { kind: 'browser', name: new URL(location.href).searchParams.get('store') } });
