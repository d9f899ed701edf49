// Imported before all other modules: stops this process in the nth call of a method of node:fs, `TRAP=writeSync.2`, and
// writes to stderr. The process continues when it reads something from stdin.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [method, nth] = process.env.TRAP.split('.');
const owner = method.endsWith('Sync') ? fs : fs.promises;
const call = owner[method];
const { readSync, writeSync } = fs;
let left = Number(nth);
owner[method] = function (...values) {
  left -= 1;
  if (left === 0) {
    writeSync(2, 'trapped\n');
    readSync(0, Buffer.alloc(1));
  }
  return call.apply(this, values);
};
syncBuiltinESMExports();
