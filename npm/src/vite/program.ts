import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** How a server is started. */
export interface Start {
  /** The path or the name of the program; undefined: `driblet` on the PATH. */
  binary: string | undefined;
  /** What the paths of options are relative to. */
  base: string;
  options: string[];
  /** Called with each line that the server writes later. */
  onLine: (line: string) => void;
  /** Called once if the server ends although `stop` was not called. */
  onEnd: () => void;
}

/** A server that runs. */
export interface Program {
  /** Its port on 127.0.0.1. */
  port: number;
  /** Ends it. Resolves when it has ended. */
  stop: () => Promise<void>;
}

/**
 * A shell starts the server, and ends it when the shell's input ends. So the server also ends when this process is
 * killed, and no code of this process has to run for that. The shell closes its own copy of the errors' stream: the
 * stream ends when the server has ended. Signals that a terminal sends to all processes do not end the shell before.
 */
const SCRIPT = `"$@" </dev/null & driblet=$!
trap '' INT HUP
exec 2>/dev/null
read -r _
kill "$driblet"
wait "$driblet"`;

/** Starts `driblet serve` on a free port of 127.0.0.1. Resolves once it listens. */
export async function startServer({ binary, base, options, onLine, onEnd }: Start): Promise<Program> {
  const command = [find(binary, base), 'serve', '--listen', '127.0.0.1:0', ...options];
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'driblet', ...command], {
    cwd: base,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  // It may have ended already.
  shell.stdin.on('error', () => {});
  const ended = new Promise<void>((resolve) => shell.once('close', () => resolve()));
  // The streams are sockets, which Node's types do not say.
  const streams = [shell.stdin, shell.stderr] as unknown as { ref: () => void; unref: () => void }[];
  const stop = () => {
    isStopped = true;
    for (const kept of [shell, ...streams]) kept.ref();
    shell.stdin.end();
    return ended;
  };
  let isStopped = false;
  const said: string[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    let isReady = false;
    shell.once('error', reject);
    const lines = createInterface(shell.stderr);
    lines.on('line', (line) => {
      if (isReady) return onLine(line);
      said.push(line);
      const [, port] = /^listening on http:\/\/127\.0\.0\.1:(\d+)\/$/.exec(line) ?? [];
      if (port === undefined) return;
      isReady = true;
      resolve(Number(port));
    });
    lines.once('close', () => {
      if (!isReady)
        reject(new Error(`${command[0]} serve ended before it listened: ${said.join('\n') || 'it said nothing'}`));
      else if (!isStopped) onEnd();
      stop();
    });
  });
  // A server that is left behind does not keep this process.
  for (const kept of [shell, ...streams]) kept.unref();
  return { port, stop };
}

/** The path of the program. Throws an error that says how to install it. */
function find(binary: string | undefined, base: string): string {
  const name = binary ?? 'driblet';
  const folders = name.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const places = folders.map((folder) => resolve(base, join(folder, name)));
  const found = places.find(isProgram);
  if (found !== undefined) return found;
  const where = name.includes('/') ? `at ${places[0]}` : 'on the PATH';
  throw new Error(
    `driblet: vite preview serves through the program \`${name}\`, and there is none ${where}. Install it with \`cargo install --path crates/cli\` in a clone of https://github.com/driblet/driblet, name it with driblet({ binary: '/path/to/driblet' }), or let vite serve alone with driblet({ preview: false }).`,
  );
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
