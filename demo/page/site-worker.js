// The service worker of the app below /site/. Its URL names the store in which the page keeps the app too.
/* global driblet */
importScripts('/.driblet/service-worker.js');

driblet.serveDirectory('/site/', {
  store: { kind: 'browser', name: new URL(location.href).searchParams.get('store') },
});
