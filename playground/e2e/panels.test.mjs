// The built page in a browser against fixed answers: `npm run build && npm run test:panels`.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { openPage } from './browser.mjs';
import { startFixtureGateway } from './fixture-gateway.mjs';
import { playground } from './page.mjs';

let gateway;
let browser;
let shown;

before(async () => void (gateway = await startFixtureGateway()));
after(() => gateway.close());

beforeEach(async () => {
  browser = await openPage(gateway.url);
  shown = playground(browser.page);
});

afterEach(async () => {
  await browser.close();
  assert.deepEqual(browser.complaints, []);
});

test('before the first run the panel says what it is for', async () => {
  await shown.inspector.getByText('Run an operation to see').waitFor();
});

test('the plan is a tree and the calls are a waterfall', async () => {
  await shown.run();
  const answer = await shown.answered();
  assert.equal(answer.data.products.length, 20);
  assert.equal(answer.extensions, undefined);
  assert.equal(await shown.summary.innerText(), '4 upstream calls · 5.5 ms · plan cached');
  assert.deepEqual(await nestingOf(shown.steps), { 0: 1, 1: 2, 2: 2, 3: 3 });
  assert.equal(await shown.bars.count(), 4);
  const [first, , , last] = await boxesOf(shown.bars);
  assert.ok(last.x > first.x + first.width, 'the users call began after the products call ended');
});

test('the plan can be read as text', async () => {
  await shown.run();
  await shown.inspector.getByRole('button', { name: 'Text' }).click();
  assert.match(await shown.inspector.locator('.plan-text').innerText(), /└─ GET \/users/);
  assert.equal(await shown.steps.count(), 0);
});

test('pointing at a step marks its calls', async () => {
  await shown.run();
  await shown.steps.nth(1).hover();
  const marked = shown.inspector.locator('.call.pointed');
  await marked.waitFor();
  assert.equal(await marked.locator('strong').innerText(), 'inventory');
});

test('a failed call is red and says why', async () => {
  await shown.write('query Failing { products { name } }');
  await shown.run();
  await shown.answered();
  const failed = shown.inspector.locator('.call-failed');
  assert.equal(await failed.count(), 1);
  assert.equal(await failed.locator('.call-error').innerText(), 'the reviews service is not available');
  assert.equal(await shown.summary.innerText(), '3 upstream calls · 1 failed · 5.5 ms · planned in 120 µs');
  const [ok, bad] = await Promise.all([colorOf(shown.bars.first()), colorOf(failed.locator('.call-bar'))]);
  assert.notEqual(ok, bad);
});

test('attempts, hedges, kept replies and breakers are told apart', async () => {
  await shown.write('query Unusual { products { name } }');
  await shown.run();
  await shown.answered();
  const badges = await shown.calls.evaluateAll((calls) =>
    calls.map((call) => [...call.querySelectorAll('.call-badge')].map((badge) => badge.textContent)),
  );
  assert.deepEqual(badges, [
    [],
    ['retry 1', 'breaker half-open'],
    ['cached'],
    ['overtaken'],
    ['hedge'],
    ['breaker open'],
    ['stale'],
  ]);
  assert.equal(await shown.inspector.locator('.call-failed').count(), 2);
  assert.equal(
    await shown.summary.innerText(),
    '5 upstream calls · 2 failed · 2 repeated · 2 kept · 5.5 ms · plan cached',
  );
});

test('an answer without a report is shown as it is', async () => {
  await shown.write('query Plain { user(id: "1") { name } }');
  await shown.run();
  assert.deepEqual(await shown.answered(), { data: { user: { name: 'Ada Boateng' } } });
  await shown.inspector.getByText('without a plan or timings').waitFor();
});

test('extensions of others stay in the answer', async () => {
  await shown.write('query OnlyOthers { user(id: "1") { name } }');
  await shown.run();
  assert.deepEqual((await shown.answered()).extensions, { cost: 12 });
});

test('a plan that is only text is shown as text', async () => {
  await shown.write('query OnlyText { user(id: "1") { name } }');
  await shown.run();
  await shown.inspector.locator('.plan-text').waitFor();
});

test('a refusal is shown and leaves no old report behind', async () => {
  await shown.run();
  await shown.summary.waitFor();
  await shown.write('query Refused { user(id: "1") { name } }');
  await shown.run();
  await shown.inspector.getByText('without a plan or timings').waitFor();
  assert.equal((await shown.answered()).status, 429);
});

test('each tab keeps its own report', async () => {
  await shown.run();
  await shown.summary.waitFor();
  await shown.openTab('Customer');
  await shown.inspector.getByText('Run an operation to see').waitFor();
  await shown.openTab('Products');
  assert.equal(await shown.bars.count(), 4);
});

test('dialogs, documentation and completion keep to the content security policy', async () => {
  const { page } = browser;
  await page.getByRole('button', { name: 'Open settings dialog' }).click();
  await page.getByRole('button', { name: 'Dark' }).click();
  assert.match(await page.locator('body').getAttribute('class'), /graphiql-dark/);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.getByRole('link', { name: 'Query', exact: true }).click();
  await page.getByText('products').first().waitFor();
  await shown.write('query Half { user(id: "1") { na');
  await page.keyboard.press('Control+Space');
  await page.locator('.CodeMirror-hints').getByText('name', { exact: true }).waitFor();
});

/** Step id → how many branches it lies in. */
function nestingOf(steps) {
  return steps.evaluateAll((elements) =>
    Object.fromEntries(
      elements.map((element) => {
        let depth = 0;
        for (let at = element; at; at = at.parentElement) if (at.matches('.plan-branch')) depth++;
        return [element.dataset.step, depth];
      }),
    ),
  );
}

async function boxesOf(locator) {
  return Promise.all((await locator.all()).map((element) => element.boundingBox()));
}

function colorOf(locator) {
  return locator.evaluate((element) => getComputedStyle(element).backgroundColor);
}
