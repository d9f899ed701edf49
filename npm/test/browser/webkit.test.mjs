// The main path in WebKit: in a window that keeps what it stores, and in a private one.
import { describe } from 'node:test';
import { testMainPath } from '../support/mainpath.mjs';
import { AS_SAFARI, launch, publishPage } from '../support/webkit.mjs';

// WebKitGTK has no files that can be read at once; so its stores are two.
const KINDS = ['browser', 'indexeddb', 'memory'];

describe('in a window', () => testMainPath((url) => launch(url), KINDS, publishPage));
// As Safari's: there are files, which nobody may open, and the database takes no blobs.
describe('in a private window', () => testMainPath((url) => launch(url, AS_SAFARI, '--private'), KINDS, publishPage));
