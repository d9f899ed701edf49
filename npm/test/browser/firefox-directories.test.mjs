// Directories in Firefox.
import { testDirectories } from '../support/directorymainpath.mjs';
import { launch } from '../support/firefox.mjs';

testDirectories(() => launch(), ['browser', 'opfs', 'indexeddb', 'memory']);
