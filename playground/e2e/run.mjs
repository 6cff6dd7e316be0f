// Starts the example services and a gateway over them, runs the end-to-end test against its playground
// and stops what it started:
//   SWITCHBOARD_BIN=../target/debug/switchboard SUBGRAPHS_BIN=../target/debug/switchboard-subgraphs node e2e/run.mjs
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PLAYGROUND = fileURLToPath(new URL('..', import.meta.url));
const SERVICES = ['users', 'reviews', 'orders', 'notifications', 'products', 'inventory'];
const START_LIMIT_MILLIS = 30_000;
const STOP_LIMIT_MILLIS = 10_000;

const started = [];
// What waits to be delivered is nobody else's.
const queue = mkdtempSync(join(tmpdir(), 'switchboard-e2e-'));

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopAll().then(() => process.exit(1)));

try {
  process.exitCode = await main();
} finally {
  await stopAll();
  rmSync(queue, { recursive: true, force: true });
}

async function main() {
  const services = start(binary('SUBGRAPHS_BIN'), ['all', '--ephemeral']);
  const addresses = await announced(services, SERVICES);
  const gateway = start(
    binary('SWITCHBOARD_BIN'),
    ['serve', '--dev', '--config', '../schema/switchboard.yaml', '--listen', '127.0.0.1:0'],
    { SWITCHBOARD_ADMIN_LISTEN: '127.0.0.1:0', SWITCHBOARD_QUEUE: queue, ...serviceVariables(addresses) },
  );
  const { graphql } = await announced(gateway, ['graphql']);
  return runTests(new URL('/playground', graphql).href);
}

function binary(variable) {
  const path = process.env[variable];
  if (!path) throw new Error(`set ${variable} to the path of the built binary`);
  return resolve(path);
}

/** users → USERS_URL. */
function serviceVariables(addresses) {
  return Object.fromEntries(SERVICES.map((name) => [`${name.toUpperCase()}_URL`, addresses[name]]));
}

function start(command, args, variables = {}) {
  const child = spawn(command, args, {
    cwd: PLAYGROUND,
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  return child;
}

/** Reads lines `NAME URL` from the child until each of `names` has its URL. */
async function announced(child, names) {
  const found = {};
  const lines = createInterface({ input: child.stdout });
  const allFound = new Promise((settle, fail) => {
    lines.on('line', (line) => {
      const [name, url] = line.trim().split(/\s+/);
      if (names.includes(name) && url) found[name] = url;
      if (names.every((wanted) => found[wanted])) settle(found);
    });
    child.on('error', fail);
    child.on('exit', (code) => fail(new Error(`${child.spawnfile} ended with ${code} before it was ready`)));
  });
  return within(START_LIMIT_MILLIS, allFound, `${child.spawnfile} did not say where it listens`);
}

async function runTests(url) {
  const tests = spawn(process.execPath, ['--test', 'e2e/gateway.test.mjs'], {
    cwd: PLAYGROUND,
    env: { ...process.env, PLAYGROUND_URL: url },
    stdio: 'inherit',
  });
  const [code] = await once(tests, 'exit');
  return code ?? 1;
}

function stopAll() {
  return Promise.all(started.map(stop));
}

async function stop(child) {
  // Neither a code nor a signal, and it had been started: it still runs.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await within(STOP_LIMIT_MILLIS, ended, 'still running').catch(() => child.kill('SIGKILL'));
}

async function within(millis, promise, otherwise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${otherwise} within ${millis / 1000} s`)), millis);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
