// Directories in Firefox: in a window, and in a private one, which has no service workers.
import { describe } from 'node:test';
import { testDirectories, testServing } from '../support/directorymainpath.mjs';
import { launch } from '../support/firefox.mjs';

const PRIVATE = { 'browser.privatebrowsing.autostart': true };

describe('in a window', () => {
  testDirectories(() => launch(), ['browser', 'opfs', 'indexeddb', 'memory']);
  testServing(() => launch());
});
describe('in a private window', () => testServing(() => launch(PRIVATE), { isRefused: true }));
