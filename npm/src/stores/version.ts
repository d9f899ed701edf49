/** A version, its length in bytes, and what verifies its parts. */
export interface VersionInfo {
  readonly version: string;
  readonly length: number;
  /**
   * The hashes that verify its groups, as base64. Without it, or if it is damaged, a version is verified as a whole.
   */
  readonly outboard?: string | undefined;
}
