/** What a page sends to its service worker to ask for a newer version. */
export const CHECK = 'driblet check';

/** What a service worker sends to pages that were loaded with an older version than the one it has stored. */
export interface Ready {
  readonly driblet: 'ready';
  /** The newer version. */
  readonly version: string;
}

/** What a service worker answers to {@link CHECK}: which directory it serves, and how it asks for it. */
export interface Serves {
  readonly driblet: 'serves';
  readonly url: string;
  readonly headers: [string, string][];
  readonly credentials: RequestCredentials;
}

/** Whether a message is a {@link Serves}. */
export function isServes(message: unknown): message is Serves {
  return (message as Partial<Serves> | undefined)?.driblet === 'serves';
}

/** Whether a message is a {@link Ready}. */
export function isReady(message: unknown): message is Ready {
  return (message as Partial<Ready> | undefined)?.driblet === 'ready';
}
