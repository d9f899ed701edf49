/**
 * What to do about a failed sync: `network`, try again, it goes on where it was cut; `protocol`, report it, for trying again will not help;
 * `store`, sync again or into a {@link memoryStore}.
 */
export type SyncErrorCode = 'network' | 'protocol' | 'store';

/** Why a sync, or reading what it brought, failed. What was stored before stays, unless it was found not to be whole. */
export class SyncError extends Error {
  override readonly name = 'SyncError';
  readonly code: SyncErrorCode;

  constructor(code: SyncErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Passes on what is a {@link SyncError}, and wraps the rest. */
export function asSyncError(code: SyncErrorCode, doing: string, error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  return new SyncError(code, `${doing}: ${said(error)}`, { cause: error });
}

/** What an error says, and what it says its cause was: Node's fetch just fails, and its cause knows why. */
export function said(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

/** A handle that was closed, or whose worker was ended. */
export function closed(): SyncError {
  return new SyncError('store', 'this handle is closed; sync again');
}
