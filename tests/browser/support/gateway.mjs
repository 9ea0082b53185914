// The gateway as the tests see it: a program that is started, prints its address, and is stopped by its process id.
// Does not know: which browser or library will talk to it.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const startLimit = 15_000;
const stopLimit = 10_000;

/**
 * Starts a gateway. `args` are its command line after `serve`, `config` is the text of its configuration file.
 * `url` of the result has no slash at the end.
 */
export async function startGateway(args, { listen = '127.0.0.1:0', config } = {}) {
  const folder = config && mkdtempSync(join(tmpdir(), 'towpath-test-'));
  if (folder) {
    const file = join(folder, 'towpath.toml');
    writeFileSync(file, config);
    args = [...args, '--config', file];
  }
  try {
    return await start(program(), ['serve', '--listen', listen, ...args]);
  } finally {
    if (folder) rmSync(folder, { recursive: true });
  }
}

/** Starts an example of the library, as `cargo build --examples` has made it. */
export function startExample(name) {
  return start(newest(join('examples', name), 'cargo build --examples'), ['127.0.0.1:0']);
}

/** Starts any program that prints the URL at which it listens. */
export function startProgram(file, commandLine) {
  return start(file, commandLine);
}

async function start(file, commandLine) {
  const child = spawn(file, commandLine, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  const url = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`the gateway ${why}; it said:\n${said.join('')}`));
    const timer = setTimeout(() => { child.kill('SIGKILL'); fail(`printed no address within ${startLimit} ms`); }, startLimit);
    child.once('error', (error) => fail(`could not be started: ${error.message}`));
    ended.then((how) => fail(`ended at once (${how})`));
    const listenFor = (chunk) => {
      said.push(String(chunk));
      const found = said.join('').match(/http:\/\/(?:\d+\.\d+\.\d+\.\d+|localhost|\[[0-9a-f:]+\]):\d+(?=\/)/);
      if (found) { clearTimeout(timer); resolve(found[0]); }
    };
    child.stdout.on('data', listenFor);
    child.stderr.on('data', listenFor);
  });
  return {
    url,
    /** What it printed so far, for the message of a failed test. */
    log: () => said.join(''),
    /** Ends it and waits until it is gone; the answer is its exit code or the signal that ended it. */
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const late = setTimeout(() => child.kill('SIGKILL'), stopLimit);
      const how = await ended;
      clearTimeout(late);
      return how;
    },
  };
}

function program() {
  return process.env.GATEWAY_BIN ?? newest('towpath', 'cargo build --release');
}

function newest(name, command) {
  const target = process.env.CARGO_TARGET_DIR ?? join(project, 'target');
  const built = ['release', 'debug'].map((profile) => join(target, profile, name)).filter(existsSync);
  if (built.length === 0) {
    throw new Error(`there is no ${name} to test: run \`${command}\` first, or name a gateway in GATEWAY_BIN`);
  }
  return built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
}
