import { SLOW } from '../shared/link.js';
import type { Link } from '../shared/link.js';

/** What the Network Information API tells; only some browsers have it. */
interface Connection {
  readonly saveData?: boolean;
  /** In Mbit/s; at most 10. */
  readonly downlink?: number;
}

const KEY = 'driblet link';
let last: Link | undefined;

/** What is known of the link: what the last long answer of this tab showed, otherwise what the browser says. */
export function link(): Link {
  const { navigator } = globalThis as { navigator?: { readonly connection?: Connection } };
  const { saveData, downlink } = navigator?.connection ?? {};
  if (saveData) return 'slow';
  return noted() ?? (downlink !== undefined && downlink < SLOW ? 'slow' : 'usual');
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
    return known === 'slow' || known === 'usual' || known === 'fast' ? known : undefined;
  } catch {
    return last;
  }
}
