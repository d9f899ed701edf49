// Directories in WebKit: in a window that stores data, and in a private one.
import { describe } from 'node:test';
import { testDirectories, testServing } from '../support/directorymainpath.mjs';
import { AS_SAFARI, launch, publishPage } from '../support/webkit.mjs';

// WebKitGTK has no files with synchronous access, so it has two stores.
const KINDS = ['browser', 'indexeddb', 'memory'];

describe('in a window', () => {
  testDirectories((url) => launch(url), KINDS, publishPage);
  testServing((url) => launch(url), publishPage);
});
describe('in a private window', () => {
  testDirectories((url) => launch(url, AS_SAFARI, '--private'), KINDS, publishPage);
  testServing((url) => launch(url, '--private'), publishPage);
});
