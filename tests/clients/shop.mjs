// The example services and a gateway over them, for the time of a test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const HERE = fileURLToPath(new URL('.', import.meta.url));
const SERVICES = ['users', 'reviews', 'orders', 'products', 'inventory'];

/** The path of a built binary, from the environment. */
export function binary(variable) {
  const path = process.env[variable];
  if (!path) throw new Error(`set ${variable} to the path of the built binary`);
  return resolve(path);
}

/** Starts the five services; what tells a gateway where they are, and how to stop them. */
export async function services() {
  const child = start(binary('SUBGRAPHS_BIN'), ['all', '--ephemeral']);
  const found = await announced(child, SERVICES);
  const variables = SERVICES.map((name) => [`${name.toUpperCase()}_URL`, found[name]]);
  return { variables: Object.fromEntries(variables), stop: () => stop(child) };
}

/** Starts a gateway with one of the configurations beside this file. */
export async function gateway(config, variables) {
  const child = start(binary('SWITCHBOARD_BIN'), ['serve', '--config', config], variables);
  const { graphql } = await announced(child, ['graphql']);
  return { url: graphql, stop: () => stop(child) };
}

function start(command, args, variables = {}) {
  return spawn(command, args, {
    cwd: HERE,
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Reads lines `NAME URL` until each of `names` has its URL. */
async function announced(child, names) {
  const found = {};
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${child.spawnfile} ended with ${code} before it was ready`);
  });
  const ready = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const [name, url] = line.trim().split(/\s+/);
      if (names.includes(name) && url) found[name] = url;
      if (names.every((wanted) => found[wanted])) return found;
    }
  })();
  return Promise.race([ready, ended]);
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** `fetch` that keeps what was asked: method, and whether the document's text was in it. */
export function recording() {
  const asked = [];
  const recorded = async (url, options = {}) => {
    const text = options.body ?? decodeURIComponent(new URL(url).search);
    const kind = /"query":|[?&]query=/.test(text) ? 'text' : 'hash';
    const response = await fetch(url, options);
    asked.push(`${options.method ?? 'GET'} ${kind} ${response.status}`);
    return response;
  };
  return { fetch: recorded, asked };
}
