// A real browser that can reach one origin and nothing else. Owns the browser process; must not know
// what a page shows.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // What the page's own interception cannot see, the browser cannot resolve.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];

/**
 * Opens `url` in an empty profile. `complaints` fills with every request to another origin (each is
 * aborted), every breach of the content security policy and every uncaught error.
 */
export async function openPage(url, { colorScheme = 'light', viewport = { width: 1440, height: 900 } } = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'playground-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    headless: true,
    args: ARGUMENTS,
    colorScheme,
    viewport,
  });
  const complaints = await watch(context, new URL(url).origin);
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) complaints.push(message.text());
  });
  await page.goto(url);
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  };
  return { page, complaints, close };
}

async function watch(context, origin) {
  const complaints = [];
  await context.route('**/*', (route) => {
    const url = route.request().url();
    if (new URL(url).origin === origin) return route.continue();
    complaints.push(`request to another origin: ${url}`);
    return route.abort();
  });
  await context.routeWebSocket('**/*', (socket) => {
    complaints.push(`web socket: ${socket.url()}`);
    socket.close();
  });
  return complaints;
}
