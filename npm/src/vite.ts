import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { check, checkTimeout } from './shared/check.js';
import { messageOf } from './shared/error.js';
import { defaultHistory, publish } from './vite/control.js';
import { forward } from './vite/forward.js';
import { startServer } from './vite/program.js';
import type { Environment, Plugin, PreviewServer, ResolvedConfig } from 'vite';
import type { Program } from './vite/program.js';

/*
 * A plugin of vite: `vite build` tells a running `driblet serve` when all files are written, and `vite preview` serves
 * through `driblet serve`.
 */

/** Options of {@link driblet}. Paths are relative to vite's `root`. */
export interface DribletOptions {
  /** What the running `driblet serve` publishes. Default: the `outDir` of the build. */
  root?: string;
  /** The folder that `driblet serve --history` was given. Default: the folder that `driblet serve` chooses for `root`. */
  history?: string;
  /** The only file or folder below `root` to publish after a build. Default: all snapshots of the server. */
  path?: string;
  /** Milliseconds that a build waits for the server without an answer; Infinity: no limit. Default: 60,000. */
  timeout?: number;
  /** Whether `vite preview` serves through `driblet serve`. Default: true. */
  preview?: boolean;
  /** The program that `vite preview` starts. Default: `driblet` on the PATH. */
  binary?: string;
  /** More options of `driblet serve`, for `vite preview`. Default: none. */
  serve?: readonly string[];
}

/** A plugin for the `plugins` of a vite configuration. */
export interface DribletPlugin {
  readonly name: string;
}

/**
 * A vite plugin. After each `vite build`, and each rebuild of `vite build --watch`, the running `driblet serve` publishes
 * the build at once; a failed build is not published. In `vite preview` a `driblet serve` of its own serves the build.
 *
 * Throws a `TypeError` if an option is not valid.
 *
 * @example
 * export default defineConfig({ plugins: [driblet()] });
 */
export default function driblet(options: DribletOptions = {}): DribletPlugin {
  checkOptions(options);
  const timeout = checkTimeout(options.timeout ?? 60_000);
  /** The environments whose files are all written. */
  const written = new Set<string>();
  let publishing = Promise.resolve();
  let config: ResolvedConfig;
  let program: Program | undefined;

  const plugin: Plugin = {
    name: 'driblet',
    // Other plugins may write files at the end of a build, so this one comes last.
    enforce: 'post',
    configResolved(resolved) {
      config = resolved;
    },
    async buildStart() {
      written.delete(buildOf(this.environment, config).name);
      // A watching vite begins the next build meanwhile, and would empty the folder that the server reads.
      await publishing;
    },
    writeBundle: {
      order: 'post',
      sequential: true,
      handler() {
        written.add(buildOf(this.environment, config).name);
      },
    },
    closeBundle: {
      order: 'post',
      sequential: true,
      async handler(error?: Error) {
        const { name, isClient, outDir } = buildOf(this.environment, config);
        if (!written.delete(name) || error || !isClient) return;
        const root = resolve(config.root, options.root ?? outDir);
        publishing = publishBuild(root, historyOf(config, options), options.path, timeout, config.logger);
        await publishing;
      },
    },
    async configurePreviewServer(server) {
      if (!(options.preview ?? true)) return;
      const { meta } = (this ?? {}) as { meta?: { viteVersion?: string } };
      if (meta?.viteVersion === undefined) {
        // Earlier versions check hosts and origins after the middlewares of plugins.
        config.logger.warn('driblet: `vite preview` serves through driblet from vite 7 on; this vite serves alone');
        return;
      }
      program = await servePreview(server, options);
    },
    // vite 8 calls this. Earlier versions only close the server.
    async closePreviewServer() {
      await program?.stop();
    },
  };
  return plugin;
}

function checkOptions(options: DribletOptions): void {
  for (const name of ['root', 'history', 'path', 'binary'] as const) {
    const value = options[name];
    check(value === undefined || (typeof value === 'string' && value !== ''), name, 'a text that is not empty', value);
  }
  const { preview, serve } = options;
  check(preview === undefined || typeof preview === 'boolean', 'preview', 'true or false', preview);
  const isList = Array.isArray(serve) && serve.every((option) => typeof option === 'string');
  check(serve === undefined || isList, 'serve', 'a list of texts', serve);
}

/** What is built now. Before vite 6 there are no environments: each build has a configuration of its own. */
function buildOf(environment: Environment | undefined, config: ResolvedConfig) {
  const consumer = environment?.config.consumer ?? (config.build.ssr ? 'server' : 'client');
  const { outDir } = environment?.config.build ?? config.build;
  return { name: environment?.name ?? consumer, isClient: consumer === 'client', outDir };
}

function historyOf({ root }: ResolvedConfig, { history }: DribletOptions): string | undefined {
  return history === undefined ? undefined : resolve(root, history);
}

/** Tells the server of a root that a build is written. Logs what came of it; never fails. */
async function publishBuild(
  root: string,
  history: string | undefined,
  path: string | undefined,
  timeout: number,
  logger: ResolvedConfig['logger'],
): Promise<void> {
  const named = history === undefined ? root : `${root} --history ${history}`;
  const again = `publish the build with \`driblet publish ${named}${path === undefined ? '' : ` ${path}`}\``;
  try {
    const answer = await publish(history ?? defaultHistory(root), path, timeout);
    if (answer.kind === 'not-running') {
      const which = history === undefined ? `of ${root}` : `with the history ${history}`;
      logger.info(`driblet: no \`driblet serve\` ${which} runs, so none was told of this build`);
    } else if (answer.kind === 'refused') {
      logger.warn(`driblet: the server did not publish this build: ${answer.reason}. Correct that, then ${again}.`);
    } else {
      for (const { path, version, files } of answer.snapshots) {
        const count = files === null ? '' : `, ${files} files`;
        logger.info(`driblet: published /${path.replace(/^\//, '')} as ${version}${count}`);
      }
    }
  } catch (error) {
    logger.warn(`driblet: the server could not be told of this build: ${messageOf(error)}. Once it answers, ${again}.`);
  }
}

/** Starts a server of the build, and has the preview's requests answered by it. */
async function servePreview(server: PreviewServer, options: DribletOptions): Promise<Program> {
  const { config, httpServer, middlewares } = server;
  const { outDir } = config.environments?.client?.build ?? config.build;
  const root = resolve(config.root, outDir);
  // vite itself does not check this if there is a plugin for the preview.
  if (!existsSync(root)) throw new Error(`driblet: the folder ${root} does not exist; run \`vite build\` first`);
  const history = historyOf(config, options);
  const { logger } = config;
  const program = await startServer({
    binary: options.binary,
    base: config.root,
    options: [...(history === undefined ? [] : ['--history', history]), ...(options.serve ?? []), '--', root],
    onLine: (line) => logger.warn(`driblet serve: ${line}`),
    onEnd: () => logger.error('driblet: `driblet serve` has ended; vite serves the build without it'),
  });
  logger.info(`driblet: serving ${root} through driblet, at http://127.0.0.1:${program.port}/`);
  httpServer.once('close', () => void program.stop());
  const headers = config.preview.headers ?? {};
  middlewares.use(forward({ port: program.port, base: config.base, headers }));
  return program;
}
