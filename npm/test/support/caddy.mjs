// Caddy in front of a server, with deploy/Caddyfile.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, replaced, started } from './nginx.mjs';

/**
 * Starts Caddy for the site `name`. Names and places are replaced, and it is given a certificate. scripts/setup.sh
 * installs it.
 */
export async function deployedCaddy(upstream, name, { cert, key }) {
  const home = mkdtempSync(join(tmpdir(), 'driblet-caddy-'));
  const port = await freePort();
  const text = replaced(readFileSync(new URL('../../../deploy/Caddyfile', import.meta.url), 'utf8'), [
    ['\nexample.com {', `\nhttps://${name}:${port} {\n\ttls ${cert} ${key}`],
    ['\treverse_proxy 127.0.0.1:8080 {', `\treverse_proxy ${upstream} {`],
  ]);
  writeFileSync(join(home, 'Caddyfile'), `{\n\tadmin off\n\tauto_https off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n${text}`);
  const args = ['run', '--config', join(home, 'Caddyfile'), '--adapter', 'caddyfile'];
  return started('caddy', args, { HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home }, home, port);
}
