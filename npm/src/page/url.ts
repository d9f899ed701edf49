import { check } from '../shared/check.js';

/**
 * Resolves a URL as `fetch` does. Returns it without fragment, user and password, and the value of the Authorization
 * header that the user and the password stand for. The password must not reach stores, locks, errors or other servers.
 */
export function urlOf(given: string | URL): [href: string, authorization?: string] {
  check(typeof given === 'string' || typeof given?.href === 'string', 'a URL', 'a string or a URL', given);
  let url: URL;
  try {
    url = new URL(given, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    // The platform's message may contain the password.
    const shown = /@/.test(`${given}`) ? 'the one given' : given;
    throw new TypeError(
      `a URL must be valid${globalThis.location ? '' : ', and in Node it must be absolute'}; ${shown} is not`,
    );
  }
  const { username, password } = url;
  url.hash = url.username = url.password = '';
  return username || password
    ? [url.href, `Basic ${btoa(`${percentDecoded(username)}:${percentDecoded(password)}`)}`]
    : [url.href];
}

/** The bytes of a percent-encoded text, one character each. */
function percentDecoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
