/**
 * What the caller can do about a failed sync.
 *
 * - `network`: sync again; the transfer continues where it was cut.
 * - `protocol`: report it; syncing again does not help.
 * - `store`: sync again, or sync into a {@link memoryStore}.
 */
export type SyncErrorCode = 'network' | 'protocol' | 'store';

/**
 * Why a sync or a read failed. The version stored before stays, unless it was found to be damaged.
 *
 * @example
 * catch (error) {
 *   if (error instanceof SyncError && error.code === 'network') retryLater();
 * }
 */
export class SyncError extends Error {
  override readonly name = 'SyncError';
  readonly code: SyncErrorCode;

  constructor(code: SyncErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Returns a {@link SyncError} as it is, and wraps any other error. */
export function asSyncError(code: SyncErrorCode, doing: string, error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  return new SyncError(code, `${doing}: ${messageOf(error)}`, { cause: error });
}

/** The message of an error and of its cause. Node's fetch says only in the cause why it failed. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

/** The error for a handle that was closed, or whose worker was ended. */
export function closed(): SyncError {
  return new SyncError('store', 'this handle is closed; sync again');
}
