/*
 * The headers that say what a page may do. Pages that a service worker answers have no others, so they are stored with
 * each version and repeated.
 */

const POLICIES = [
  'content-security-policy',
  'content-security-policy-report-only',
  'cross-origin-embedder-policy',
  'cross-origin-embedder-policy-report-only',
  'cross-origin-opener-policy',
  'cross-origin-opener-policy-report-only',
  'cross-origin-resource-policy',
  'origin-agent-cluster',
  'permissions-policy',
  'referrer-policy',
  'x-content-type-options',
  'x-frame-options',
];

/** The policies among a response's headers. */
export function policiesIn(headers: Headers): [string, string][] {
  return POLICIES.flatMap((name): [string, string][] => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value]];
  });
}
