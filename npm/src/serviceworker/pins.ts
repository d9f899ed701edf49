import type { DirectoryRecords, Pin } from '../stores/directories/holdings.js';

/*
 * Which version each page and worker was loaded with. The browser may end a service worker between any two requests, so
 * this is stored before a page gets its first byte.
 */

/** How long a version is kept after its last page was seen, and after it stopped being the newest. */
export const DAY = 86_400_000;

const CLIENT = 'client ';
const RECENT = 'recent ';

/** The clients of a service worker, as far as driblet needs them. */
export interface ClientsLike {
  matchAll(options: { includeUncontrolled: boolean; type: 'all' }): Promise<readonly { readonly id: string }[]>;
}

/** The versions of clients, by their ids. */
export interface ClientPins {
  /** The version that a client was loaded with. */
  of(client: string): Promise<string | undefined>;
  /** Notes the version that a client is loaded with. */
  set(client: string, version: string): Promise<void>;
  /** Marks the pins of clients that are gone, so that their versions go when there is no room, or after a day. */
  review(clients: ClientsLike): Promise<void>;
  /** Keeps a version that stopped being the newest for a while. */
  keep(version: string, stored: number): Promise<void>;
}

/** The pins in a directory's records. */
export function clientPins(records: DirectoryRecords): ClientPins {
  const known = new Map<string, string>();
  let loading: Promise<void> | undefined;

  async function load(): Promise<void> {
    for (const [name, { version }] of await records.pins())
      if (name.startsWith(CLIENT)) known.set(name.slice(CLIENT.length), version);
  }

  return {
    async of(client) {
      if (!known.has(client)) await (loading ??= load());
      return known.get(client);
    },

    async set(client, version) {
      if (known.get(client) === version) return;
      await records.setPins([[CLIENT + client, { version }]]);
      known.set(client, version);
    },

    async review(clients) {
      const present = new Set((await clients.matchAll({ includeUncontrolled: true, type: 'all' })).map(({ id }) => id));
      const now = Date.now();
      const changes: [string, Pin | undefined][] = [];
      for (const [name, pin] of await records.pins()) {
        const { version, until } = pin;
        const isPresent = name.startsWith(CLIENT) && present.has(name.slice(CLIENT.length));
        if (isPresent && until !== undefined) changes.push([name, { version }]);
        else if (!isPresent && until === undefined) changes.push([name, { version, until: now + DAY }]);
        else if (!isPresent && until! <= now) {
          changes.push([name, undefined]);
          known.delete(name.slice(CLIENT.length));
        }
      }
      if (0 < changes.length) await records.setPins(changes);
    },

    keep: (version, stored) => records.setPins([[RECENT + version, { version, until: stored + DAY }]]),
  };
}
