import { settingsInUse } from './configure.js';
import { LINKS } from '../shared/link.js';
import type { Link } from '../shared/link.js';

/** What the Network Information API tells; only some browsers have it. */
interface Connection {
  readonly saveData?: boolean;
  /** '4g' for all that are faster, too. */
  readonly effectiveType?: 'slow-2g' | '2g' | '3g' | '4g';
}

const KEY = 'driblet link';
let last: Link | undefined;

/** What requests say of the link: what is configured, what the last long answer of this tab showed, otherwise what the browser says. */
export function link(): Link {
  const { link } = settingsInUse();
  if (link !== undefined) return link;
  const { navigator } = globalThis as { navigator?: { readonly connection?: Connection } };
  const { saveData, effectiveType = '4g' } = navigator?.connection ?? {};
  if (saveData) return 'slow';
  return noted() ?? (effectiveType === '4g' ? 'usual' : 'slow');
}

/** Notes what a sync showed of the link, for this tab's next syncs. */
export function noteLink(shown: Link | undefined): void {
  if (shown === undefined || shown === last) return;
  last = shown;
  try {
    sessionStorage.setItem(KEY, shown);
  } catch {
    // Full, forbidden, or not a page.
  }
}

function noted(): Link | undefined {
  try {
    const known = last ?? sessionStorage.getItem(KEY);
    return LINKS.find((link) => link === known);
  } catch {
    return last;
  }
}
