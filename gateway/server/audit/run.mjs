// The public audit of GraphQL over HTTP against the built gateway. Every one of its checks must pass, those that
// it calls SHOULD and MAY included: SWITCHBOARD_BIN=../../../target/debug/switchboard node run.mjs
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { serverAudits } from 'graphql-http';

const CHECKS = 61;
const HERE = fileURLToPath(new URL('.', import.meta.url));

const gateway = start();
try {
  process.exitCode = await audit(await address(gateway));
} finally {
  gateway.kill('SIGTERM');
}

function start() {
  const binary = process.env.SWITCHBOARD_BIN;
  if (!binary) throw new Error('set SWITCHBOARD_BIN to the path of the built binary');
  return spawn(resolve(binary), ['serve', '--config', 'switchboard.yaml'], {
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

async function audit(url) {
  const audits = serverAudits({ url });
  let passed = 0;
  for (const { id, name, fn } of audits) {
    const result = await fn();
    if (result.status === 'ok') passed += 1;
    else console.error(`${result.status} ${id} ${name}: ${result.reason}`);
  }
  console.log(`GraphQL over HTTP audit: ${passed} of ${audits.length} checks pass`);
  return passed === audits.length && audits.length >= CHECKS ? 0 : 1;
}
