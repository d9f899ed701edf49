// The main path in Firefox.
import { launch } from '../support/firefox.mjs';
import { testMainPath } from '../support/mainpath.mjs';

testMainPath(() => launch(), ['browser', 'opfs', 'indexeddb', 'memory']);
