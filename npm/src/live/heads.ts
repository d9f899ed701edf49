import { follow } from './follow.js';
import { canElect, electLeader } from './leader.js';
import { whilePresent } from './presence.js';
import { requestsOf } from './requests.js';
import type { LiveHead } from './head.js';
import type { LiveTarget } from './requests.js';

/** Calls `onHead` with each new head of an asset in one tab of the browser, until the signal is aborted. */
export function followHeads(
  target: LiveTarget,
  shared: string,
  onHead: (head: LiveHead) => void,
  signal: AbortSignal,
): Promise<void> {
  const requests = requestsOf(target);
  return whilePresent(signal, (present) => {
    const lead = (leading: AbortSignal) => follow(requests, onHead, leading, canElect());
    return canElect() ? electLeader(`driblet heads ${shared}`, { lead, onSynced() {} }, present) : lead(present);
  });
}
