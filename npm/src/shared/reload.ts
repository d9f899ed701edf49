/** What a page sends to its service worker to ask for a newer version. */
export const CHECK = 'driblet check';

/** What a service worker sends to pages that were loaded with an older version than the one it has stored. */
export interface Ready {
  readonly driblet: 'ready';
  /** The newer version. */
  readonly version: string;
}

/** Whether a message is a {@link Ready}. */
export function isReady(message: unknown): message is Ready {
  return (message as Partial<Ready> | undefined)?.driblet === 'ready';
}
