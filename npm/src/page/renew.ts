import { check } from '../shared/check.js';

/** How headers are renewed that the server accepts for a while only. */
export interface RenewOptions {
  /**
   * Returns new headers after the server refused the present ones with status 401 or 403, for example with a new token.
   * If it refuses these too, or without this function, watching ends with a `SyncError`.
   */
  renewHeaders?: () => HeadersInit | Promise<HeadersInit>;
}

/** Checks the options that only watching has. */
export function checkWatch({ renewHeaders, ...others }: RenewOptions & { version?: unknown }): void {
  check(
    renewHeaders === undefined || typeof renewHeaders === 'function',
    'renewHeaders',
    'a function that returns headers',
    renewHeaders,
  );
  check(others.version === undefined, 'version', 'left out, since newer versions are watched for', others.version);
}
