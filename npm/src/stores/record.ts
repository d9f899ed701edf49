/*
 * A small JSON value in a file, replaced atomically. Not every browser can rename files there, so a record has two
 * slots, each with a sequence number and a checksum. A write goes to the slot that is not the newest: if it is torn,
 * the other slot is valid.
 */

/** A slot fills whole disk blocks, so that writing it cannot tear the other. */
const SLOT = 4096;
const CHECKSUM = 32;

/** The length of a record in bytes. */
export const RECORD = 2 * SLOT;

/** The newest value of a record whose checksum is right. */
export async function newestValue<T>(
  record: Uint8Array<ArrayBuffer>,
): Promise<{ sequence: number; value: T } | undefined> {
  const slots = await Promise.all([slotOf<T>(record, 0), slotOf<T>(record, 1)]);
  return slots.reduce((newest, slot) => (slot && (newest?.sequence ?? -1) < slot.sequence ? slot : newest), undefined);
}

/** Writes a value and waits until it is durable. */
export async function writeRecord<T>(file: FileSystemSyncAccessHandle, value: T): Promise<void> {
  const record = new Uint8Array(RECORD);
  const before = await newestValue(record.subarray(0, file.read(record, { at: 0 })));
  const sequence = (before?.sequence ?? 0) + 1;
  const slot = await sealed({ sequence, value }, SLOT);
  const written = file.write(slot, { at: (sequence % 2) * SLOT });
  if (written < SLOT) throw new DOMException('a record was not written whole', 'QuotaExceededError');
  file.flush();
}

/** A value as JSON, padded with spaces to `size` bytes, of which the last are a checksum. */
export async function sealed(value: unknown, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const json = new TextEncoder().encode(JSON.stringify(value));
  const slot = new Uint8Array(size).fill(0x20);
  if (size - CHECKSUM < json.length)
    throw new RangeError(`a record of ${json.length} bytes, at most ${size - CHECKSUM} fit`);
  slot.set(json);
  const body = slot.subarray(0, size - CHECKSUM);
  slot.set(new Uint8Array(await crypto.subtle.digest('SHA-256', body)), size - CHECKSUM);
  return slot;
}

/** The sealed value; undefined if any byte has changed. */
export async function unsealed<T>(slot: Uint8Array<ArrayBuffer>): Promise<T | undefined> {
  const body = slot.subarray(0, slot.length - CHECKSUM);
  const checksum = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
  if (!checksum.every((byte, at) => byte === slot[body.length + at])) return undefined;
  return JSON.parse(new TextDecoder().decode(body)) as T;
}

async function slotOf<T>(record: Uint8Array<ArrayBuffer>, index: number) {
  const slot = record.subarray(index * SLOT, (index + 1) * SLOT);
  return slot.length < SLOT ? undefined : unsealed<{ sequence: number; value: T }>(slot);
}
