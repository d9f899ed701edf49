// Programs that tests start.
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expected } from './limit.mjs';

/** The path of the first of these programs that is installed. The environment variable `variable` replaces it. */
export function executable(variable, names, what) {
  if (process.env[variable]) return process.env[variable];
  for (const name of names) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // Try the next one.
    }
  }
  throw new Error(`there is no ${what} here; set ${variable}, or run scripts/setup.sh browser`);
}

/**
 * Waits until a program that was just started writes a line to `output` that matches. Returns the match, and two functions
 * that end the program: `stop`, and `end`, which takes the signal.
 */
export async function whenStarted(child, output, pattern, what) {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const said = [];
  const ready = new Promise((resolve, reject) => {
    child.once('error', reject);
    createInterface(output).on('line', (line) => {
      said.push(line);
      const found = pattern.exec(line);
      if (found) resolve(found);
    });
    ended.then((code) => reject(new Error(`${what} ended with ${code}: ${said.join('\n')}`)));
  });
  const end = (signal) => {
    child.kill(signal);
    return ended;
  };
  try {
    return { found: await expected(ready, `${what} starts`), stop: () => end(), end };
  } catch (error) {
    child.kill();
    throw error;
  }
}
