// The public audit of GraphQL over HTTP against the built gateway, with introspection and under the production
// defaults. Every one of its checks must pass, those that it calls SHOULD and MAY included, but for those that need
// introspection: SWITCHBOARD_BIN=../../../target/debug/switchboard node run.mjs
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { serverAudits } from 'graphql-http';

const CHECKS = 61;
const HERE = fileURLToPath(new URL('.', import.meta.url));

// Production answers no introspection, and these four pass a variable to `__type`: they expect data and get an error.
const NEED_INTROSPECTION = ['2EA1', '28B9', 'D6D5', '6A70'];

for (const [config, failing] of [
  ['switchboard.yaml', []],
  ['production.yaml', NEED_INTROSPECTION],
]) {
  const gateway = start(config);
  try {
    process.exitCode ||= await audit(config, await address(gateway), failing);
  } finally {
    gateway.kill('SIGTERM');
  }
}

function start(config) {
  const binary = process.env.SWITCHBOARD_BIN;
  if (!binary) throw new Error('set SWITCHBOARD_BIN to the path of the built binary');
  return spawn(resolve(binary), ['serve', '--config', config], {
    cwd: HERE,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** What the gateway prints after `graphql`. */
async function address(child) {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the gateway ended with ${code} before it listened`);
  });
  const listening = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const [name, url] = line.split(' ');
      if (name === 'graphql') return url;
    }
  })();
  return Promise.race([listening, ended]);
}

/** 0 where all checks pass but exactly those that must fail. */
async function audit(config, url, failing) {
  const audits = serverAudits({ url });
  const failed = [];
  for (const { id, name, fn } of audits) {
    const result = await fn();
    if (result.status === 'ok') continue;
    failed.push(id);
    if (!failing.includes(id)) console.error(`${result.status} ${id} ${name}: ${result.reason}`);
  }
  const passed = audits.length - failed.length;
  console.log(`GraphQL over HTTP audit, ${config}: ${passed} of ${audits.length} checks pass`);
  const expected = failed.length === failing.length && failing.every((id) => failed.includes(id));
  if (!expected) console.error(`expected to fail: ${failing.join(', ') || 'none'}; failed: ${failed.join(', ') || 'none'}`);
  return expected && audits.length >= CHECKS ? 0 : 1;
}
