// Directories in Firefox, and a service worker in its windows that store data and in private ones.
import { describe } from 'node:test';
import { testDirectories, testServing } from '../support/directorymainpath.mjs';
import { launch } from '../support/firefox.mjs';

describe('in a window', () => {
  testDirectories(() => launch(), ['browser', 'opfs', 'indexeddb', 'memory']);
  testServing(() => launch());
});
describe('in a private window', () => testServing(() => launch({ 'browser.privatebrowsing.autostart': true })));
