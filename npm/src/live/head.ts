/** The head of an asset, as a live stream or `head` tells it. */
export interface LiveHead {
  readonly version: string;
  readonly length: number;
  readonly counter: number;
  readonly epoch: string;
  /** The version before, and in base64 the delta from it. */
  readonly from?: string;
  readonly delta?: string;
  /** Milliseconds over which receivers spread their requests for the delta. */
  readonly spread?: number;
}

/** The most bytes of a delta in an event. */
const MAX_DELTA = 32 << 10;
/** The longest spread, in milliseconds. */
const MAX_SPREAD = 60_000;

/** Parses a head. Undefined if it must be refused. */
export function parseHead(text: string): LiveHead | undefined {
  let given: Record<string, unknown> | null;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof given !== 'object' || given === null) return undefined;
  const { version, epoch, length, counter, from, delta, spread } = given;
  if (!isHex(version, 64) || !isHex(epoch, 16) || !isCount(length) || !isCount(counter)) return undefined;
  const hasDelta = from !== undefined || delta !== undefined;
  if (hasDelta && !(isHex(from, 64) && isDelta(delta))) return undefined;
  if (spread !== undefined && !isCount(spread)) return undefined;
  return {
    ...{ version, length, counter, epoch },
    ...(hasDelta && { from: from as string, delta: delta as string }),
    ...(spread !== undefined && { spread: Math.min(spread, MAX_SPREAD) }),
  };
}

/** The bytes of an event's delta. */
export function deltaBytes(delta: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(delta), (letter) => letter.charCodeAt(0));
}

function isHex(value: unknown, length: number): value is string {
  return typeof value === 'string' && value.length === length && /^[0-9a-f]*$/.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && 0 <= (value as number);
}

function isDelta(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value) &&
    (value.length / 4) * 3 - (value.match(/=+$/)?.[0].length ?? 0) <= MAX_DELTA
  );
}
