// The main path in WebKit: in a window that stores data, and in a private one.
import { describe } from 'node:test';
import { testMainPath } from '../support/mainpath.mjs';
import { AS_SAFARI, launch, publishPage } from '../support/webkit.mjs';

// WebKitGTK has no files with synchronous access, so it has two stores.
const KINDS = ['browser', 'indexeddb', 'memory'];

describe('in a window', () => testMainPath((url) => launch(url), KINDS, publishPage));
// Like Safari's private windows: there are files that nobody may open, and the database takes no blobs.
describe('in a private window', () => testMainPath((url) => launch(url, AS_SAFARI, '--private'), KINDS, publishPage));
