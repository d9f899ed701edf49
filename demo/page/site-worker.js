// The service worker of the app below /site/. Its URL names the store in which the page keeps the app too.
/* global driblet */

// The app follows the server, so it may ask for a release before the page does. It waits while the page says so: the page
// then receives the release, and can say what that cost.
let waits = false;
addEventListener('message', (event) => {
  const { data, ports } = event;
  if (data?.waits === undefined) {
    if (waits) event.stopImmediatePropagation();
  } else {
    waits = data.waits;
    ports[0].postMessage(waits);
  }
});

importScripts('/.driblet/service-worker.js');

driblet.serveDirectory('/site/', {
  store: { kind: 'browser', name: new URL(location.href).searchParams.get('store') },
});
