// The playground of a running gateway over the example shop. PLAYGROUND_URL says where it is;
// `run.mjs` starts one. Nothing outside that origin can be reached, and a try to do so fails the test.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { openPage } from './browser.mjs';
import { playground } from './page.mjs';

const url = process.env.PLAYGROUND_URL;
assert.ok(url, 'set PLAYGROUND_URL to a running playground, such as http://127.0.0.1:4000/playground');

let browser;
let shown;

beforeEach(async () => {
  browser = await openPage(url);
  shown = playground(browser.page);
});

afterEach(async () => {
  await browser.close();
  assert.deepEqual(browser.complaints, []);
});

test('the default query answers, with its plan and its upstream calls', async () => {
  const reply = replyTo('Products');
  await shown.run();
  const answer = await shown.answered();
  assert.equal(answer.errors, undefined);
  assert.equal(answer.data.products.length, 20);
  assert.ok(answer.data.products.some((product) => product.reviews?.some((review) => review.user?.name)));
  assert.equal(answer.extensions?.switchboard, undefined);

  const { plan, trace } = (await reply).extensions.switchboard;
  const sources = ['products', 'inventory', 'reviews', 'users'];
  assert.deepEqual(plan.steps.map((step) => step.source).sort(), [...sources].sort());
  assert.equal(await shown.steps.count(), sources.length);
  assert.ok(trace.calls.length >= sources.length);
  assert.equal(await shown.bars.count(), trace.calls.length);
  for (const bar of await shown.bars.all()) assert.ok((await bar.boundingBox()).width > 0);
  assert.match(await shown.summary.innerText(), new RegExp(`^${trace.calls.length} upstream calls · `));
});

test('a second run finds the plan in the cache', async () => {
  await shown.run();
  await shown.answered();
  await shown.run();
  await shown.inspector.getByText('plan cached').waitFor();
});

for (const name of ['Customer', 'NewestOrders']) {
  test(`the example ${name} answers without an error`, async () => {
    await shown.openTab(name);
    await shown.run();
    const answer = await shown.answered();
    assert.equal(answer.errors, undefined);
    assert.ok(Object.values(answer.data).every((value) => value !== null));
    assert.ok((await shown.bars.count()) >= 3);
  });
}

test('a wrong query shows what is wrong', async () => {
  await shown.write('query Wrong { products { nmae } }');
  await shown.run();
  const answer = await shown.answered();
  assert.match(answer.errors[0].message, /nmae/);
  assert.equal(await shown.bars.count(), 0);
});

async function replyTo(operationName) {
  const reply = await browser.page.waitForResponse(
    (response) => response.request().method() === 'POST' && response.request().postDataJSON()?.operationName === operationName,
  );
  return reply.json();
}
