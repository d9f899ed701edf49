/** A page asks the browser to keep its data when it stores more bytes than this. */
const WORTH_ASKING = 10 << 20;

let asked: Promise<boolean> | undefined;

/**
 * Whether the browser has promised to keep the origin's data. A page with more than 10 MiB asks for that, once: some
 * browsers ask the user.
 */
export function askToPersist(length: number): Promise<boolean> {
  if (globalThis.document && WORTH_ASKING < length) asked ??= known(() => navigator.storage.persist());
  return asked ?? known(() => navigator.storage.persisted());
}

/** The browser's answer; false if it denies the question, or has no such function. */
async function known(ask: () => Promise<boolean>): Promise<boolean> {
  try {
    return await ask();
  } catch {
    return false;
  }
}
