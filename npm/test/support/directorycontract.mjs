// The contract of all stores for directories. Each store runs the same tests.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LONG_FILES, treeIn, writeLong, writeSite } from './tree.mjs';

/** The folders that a server must declare for the contract of a store: `serve(...contractFolders(kind))`. */
export function contractFolders(kind) {
  return FOLDERS.flatMap((name) => ['--directory', `${kind}-${name}`]);
}

const FOLDERS = ['site', 'cut', 'aborted', 'forgotten', 'held', 'apart', 'garbage', 'damaged', 'twice', 'limits'];

/** Whether a request is for a part after the one that comes with the directory delta. */
export function isPart({ url }) {
  return /\.driblet\/(part\/|\w+-\w+\/)/.test(url);
}

/**
 * Tests a store. `s` has `server`, `link` and:
 *
 * - `attempt(path, options)`: syncs, reads all files and closes. Returns `version`, `length`, `cost`, `warning` and
 *   `files` (the SHA-256 of each file by its path), or `code` and `message` of the error.
 * - `hold(path, options)`: syncs and stays open. Returns `files()` and `close()`.
 * - `damage(options, how)`: changes (`flip`) or deletes (`delete`) the bytes of all packs. Undefined if nobody can.
 * - `packed(options)`: the bytes of all packs. Undefined if nobody can tell.
 *
 * `options()` creates options with a store of its own.
 */
export function testContract(kind, s, options) {
  const tree = (name) => treeIn(s.server, `${kind}-${name}`);
  const attempt = (folder, given) => s.attempt(folder.path, given);
  const assertIs = (result, folder) => {
    assert.equal(result.message, undefined);
    assert.deepEqual(result.files, folder.digests());
  };

  describe(`the ${kind} store for directories`, () => {
    test('a first sync, the same, one changed file, moved folders, and nothing left', async () => {
      const [folder, given] = [tree('site'), options()];
      writeSite(folder);
      await folder.publish();
      const first = await attempt(folder, given);
      assertIs(first, folder);
      assert.deepEqual([first.warning, first.cost.reused], [undefined, 0]);
      const same = await attempt(folder, given);
      assertIs(same, folder);
      assert.deepEqual([same.cost.requests, same.version], [1, first.version]);
      assert.ok(same.cost.received < 100, `${same.cost.received} bytes`);
      folder.write('assets/chunk-7.js', `// changed\n${Buffer.alloc(2000, 'some text')}`);
      await folder.publish();
      const changed = await attempt(folder, given);
      assertIs(changed, folder);
      assert.equal(changed.cost.requests, 1);
      assert.ok(changed.cost.received < 3000, `${changed.cost.received} bytes`);
      folder.move('assets', 'moved');
      folder.remove('empty.txt');
      await folder.publish();
      const moved = await attempt(folder, given);
      assertIs(moved, folder);
      assert.deepEqual([moved.cost.requests, moved.cost.reused], [1, moved.length]);
      assert.ok(moved.cost.received < 3000, `${moved.cost.received} bytes`);
      for (const path of Object.keys(folder.digests())) folder.remove(path);
      await folder.publish();
      assert.deepEqual((await attempt(folder, given)).files, {});
    });

    test('a sync that was cut off continues: parts that were decoded are not fetched again', async () => {
      const [folder, given] = [tree('cut'), options()];
      writeLong(folder);
      await folder.publish();
      const parts = new Set();
      s.link.fault = (request) => (isPart(request) && 2 < parts.add(request.url).size ? { hangUp: true } : undefined);
      const cut = await attempt(folder, given);
      s.link.fault = () => undefined;
      assert.equal(cut.code, 'network');
      s.link.requests.length = 0;
      const rest = await attempt(folder, given);
      assertIs(rest, folder);
      assert.equal(rest.cost.reused % 9_000_000, 0);
      assert.ok(0 < rest.cost.reused, `${rest.cost.reused} bytes`);
      // A request that the first sync had sent when it failed may arrive after it.
      const paths = s.link.requests.map(({ path }) => path);
      const asked = paths.slice(paths.findIndex((path) => path.endsWith('.driblet/none')));
      // The first part comes with the directory delta, and was decoded before others were cut off.
      assert.equal(asked.length, 1 + LONG_FILES - rest.cost.reused / 9_000_000, asked.join('\n'));
    });

    test('an aborted sync rejects with the reason, and the next one continues', async () => {
      const [folder, given] = [tree('aborted'), options()];
      writeLong(folder, 2);
      await folder.publish();
      const aborted = await attempt(folder, { ...given, abortAfterFiles: 3 });
      assert.deepEqual([aborted.message, aborted.files], ['enough', undefined]);
      const rest = await attempt(folder, given);
      assertIs(rest, folder);
      assert.ok(9_000_000 <= rest.cost.reused, `${rest.cost.reused} bytes`);
    });

    test('a server that has forgotten the version gets a list of what is held', async () => {
      const [folder, given] = [tree('forgotten'), options()];
      writeSite(folder);
      await folder.publish();
      assertIs(await attempt(folder, given), folder);
      folder.write('assets/chunk-3.js', 'now short');
      folder.write('new.js', 'new');
      await s.server.forget();
      s.link.requests.length = 0;
      const next = await attempt(folder, given);
      assertIs(next, folder);
      assert.deepEqual(
        s.link.requests.map(({ method, path }) => `${method} ${path.replace(/[0-9a-f]{64}/g, 'V')}`),
        ['GET', 'GET', 'POST'].map(
          (method, at) => `${method} ${folder.path}.driblet/${['V', 'manifest/V', 'have'][at]}`,
        ),
      );
      assert.ok(next.cost.received < 10_000, `${next.cost.received} bytes`);
    });

    test('an open directory stays on its version, whatever other syncs do', async () => {
      const [folder, given] = [tree('held'), options()];
      writeSite(folder, 1);
      await folder.publish();
      const digests = folder.digests();
      const held = await s.hold(folder.path, given);
      for (const seed of [2, 3, 4, 5]) {
        writeSite(folder, seed);
        await folder.publish();
        assertIs(await attempt(folder, given), folder);
        assert.deepEqual(await held.files(), digests);
      }
      await held.close();
      assertIs(await attempt(folder, given), folder);
    });

    test('names of stores and scopes are kept apart', async () => {
      const folder = tree('apart');
      writeSite(folder);
      await folder.publish();
      const [one, two] = [options(), options()];
      const reused = [];
      for (const given of [
        one,
        two,
        { ...one, scope: 'ann' },
        { ...one, scope: 'bob' },
        { ...one, scope: 'ann' },
        one,
      ]) {
        const synced = await attempt(folder, given);
        assertIs(synced, folder);
        reused.push(0 < synced.cost.reused);
      }
      assert.deepEqual(reused, [false, false, false, false, true, true]);
    });

    test('bytes that no kept version needs are deleted, and packs are compacted', async () => {
      const [folder, given] = [tree('garbage'), options()];
      writeSite(folder, 1);
      await folder.publish();
      assertIs(await attempt(folder, given), folder);
      const once = (await s.packed?.(given)) ?? 0;
      for (let seed = 2; seed < 9; seed += 1) {
        // Half of the files change each time, so that old packs keep some that are needed.
        for (let number = seed % 2; number < 40; number += 2)
          folder.write(`assets/chunk-${number}.js`, Buffer.alloc(4000, `${seed} ${number} `));
        await folder.publish();
        assertIs(await attempt(folder, given), folder);
      }
      // A sync tidies up after it has given out the directory, and before the next sync begins.
      await attempt(folder, given);
      // The last two versions are kept, and garbage up to the same size again.
      const packed = (await s.packed?.(given)) ?? 0;
      assert.ok(packed <= 4 * once, `${packed} bytes after ${once}`);
    });

    for (const how of ['flip', 'delete']) {
      test(`stored bytes that somebody ${how}s are noticed, and fetched again`, async (t) => {
        if (!s.damage) return t.skip('nobody can change them');
        const [folder, given] = [tree('damaged'), options()];
        writeSite(folder, how.length);
        await folder.publish();
        assertIs(await attempt(folder, given), folder);
        await s.damage(given, how);
        if (how === 'flip') {
          const damaged = await attempt(folder, given);
          assert.equal(damaged.code, 'store', JSON.stringify(damaged));
          assert.match(damaged.message, /sync again to fetch them anew/);
        }
        const repaired = await attempt(folder, given);
        assertIs(repaired, folder);
        assert.deepEqual([repaired.version, repaired.warning], [(await attempt(folder, given)).version, undefined]);
        return undefined;
      });
    }

    test('damaged old files are not used for new ones', async (t) => {
      if (!s.damage) return t.skip('nobody can change them');
      const [folder, given] = [tree('twice'), options()];
      writeSite(folder);
      await folder.publish();
      assertIs(await attempt(folder, given), folder);
      await s.damage(given, 'flip');
      folder.write('assets/chunk-7.js', `// 7 changed\n${folder.root}`);
      await folder.publish();
      // The sync notices damaged old files that a part needs. The others are noticed when they are read.
      const next = await attempt(folder, given);
      assertIs(next.code === 'store' ? await attempt(folder, given) : next, folder);
      return undefined;
    });

    test('limits and a pinned version', async () => {
      const [folder, given] = [tree('limits'), options()];
      writeSite(folder);
      await folder.publish();
      const tooMany = await attempt(folder, { ...given, maxFiles: 5 });
      assert.deepEqual([tooMany.code, /at most 5 are accepted/.test(tooMany.message)], ['protocol', true]);
      const tooLong = await attempt(folder, { ...given, maxBytes: 1000 });
      assert.deepEqual([tooLong.code, /at most 1000 are accepted/.test(tooLong.message)], ['protocol', true]);
      const first = await attempt(folder, given);
      writeSite(folder, 2);
      await folder.publish();
      const pinned = await attempt(folder, { ...given, version: first.version });
      assert.deepEqual([pinned.files, pinned.cost.requests], [first.files, 0]);
      const newest = await attempt(folder, given);
      assertIs(newest, folder);
      // From another version, and from nothing.
      for (const store of [given, options()]) {
        const back = await attempt(folder, { ...store, version: first.version });
        assert.deepEqual([back.version, back.files], [first.version, first.files]);
      }
    });
  });
}
