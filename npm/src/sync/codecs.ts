import { SyncError } from '../shared/error.js';

let isMissing = false;

/** Whether deltas in all codecs can be decoded, as far as this thread knows. */
export function acceptsAllCodecs(): boolean {
  return !isMissing;
}

/** The wasm module with all codecs did not load. From then on, deltas that need it are not asked for. */
export class CodecsMissing extends SyncError {
  constructor(error: unknown) {
    super('network', `the delta needs a wasm module that did not load (sync again): ${error}`);
    isMissing = true;
  }
}
