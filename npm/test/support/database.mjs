// IndexedDB as tests in a page use it.

/** Defines `inDatabase` in a page: works with the tables of a database. `table(name, method, ...arguments)` returns a request's result. */
export async function defineInDatabase(page) {
  await page.evaluate(() => {
    globalThis.inDatabase = async (name, work) => {
      const done = (request) =>
        new Promise((resolve, reject) =>
          Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }),
        );
      const database = await done(indexedDB.open(name));
      try {
        return await work((table, method, ...rest) =>
          done(
            database
              .transaction(table, 'readwrite')
              .objectStore(table)
              [method](...rest),
          ),
        );
      } finally {
        database.close();
      }
    };
  });
}
