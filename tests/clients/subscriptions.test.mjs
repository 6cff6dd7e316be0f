// graphql-ws and graphql-sse, the reference clients of both protocols, over the example services.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createClient as overEvents } from 'graphql-sse';
import { createClient as overSocket } from 'graphql-ws';
import WebSocket from 'ws';
import { gateway, services } from './shop.mjs';

const WATCH = `
  subscription Watch($id: ID!) {
    stockChanged(productId: $id, every: 10) { quantity available product { name } }
  }`;
const PRODUCT = '{ product(id: 1) { name } }';
const CREATE = 'mutation Create($email: String!) { createUser(input: { name: "Ada", email: $email }) { name } }';

let shop;
before(async () => {
  shop = await services();
});
after(() => shop?.stop());

const serve = () => gateway('subscriptions.yaml', shop.variables);

/** Everything that an operation brings; errors are thrown. */
function all(client, operation) {
  return new Promise((resolve, reject) => {
    const told = [];
    client.subscribe(operation, {
      next: (value) => told.push(value),
      error: reject,
      complete: () => resolve(told),
    });
  });
}

/** The first of an operation's events, and how to end it. */
function first(client, operation) {
  return new Promise((resolve, reject) => {
    const stop = client.subscribe(operation, {
      next: (value) => resolve({ value, stop }),
      error: reject,
      complete: () => {},
    });
  });
}

function soldOut(told) {
  const stocks = told.map((it) => it.data.stockChanged);
  const begun = stocks[0].quantity;
  assert.ok(begun > 0);
  assert.deepEqual(stocks.map((it) => it.quantity), Array.from({ length: begun + 1 }, (_, sold) => begun - sold));
  assert.ok(stocks.every((it) => it.product.name));
  assert.equal(stocks.at(-1).available, false);
}

const clients = {
  'graphql-ws': (url, more = {}) =>
    overSocket({ url: () => url().replace('http', 'ws'), webSocketImpl: WebSocket, ...more }),
  'graphql-sse': (url, more = {}) => overEvents({ url, ...more }),
};

for (const [name, connect] of Object.entries(clients)) {
  describe(name, () => {
    let served;
    before(async () => {
      served = await serve();
    });
    after(() => served?.stop());

    it('follows a stock until it is sold out, each event with its product', async () => {
      const client = connect(() => served.url);
      soldOut(await all(client, { query: WATCH, variables: { id: '1' } }));
      await client.dispose();
    });

    it('asks and changes over the same connection', async () => {
      const client = connect(() => served.url);
      const [asked] = await all(client, { query: PRODUCT });
      assert.ok(asked.data.product.name);
      const [made] = await all(client, { query: CREATE, variables: { email: `${name}@example.org` } });
      assert.equal(made.data.createUser.name, 'Ada');
      await client.dispose();
    });

    it('is told what is wrong', async () => {
      const client = connect(() => served.url);
      const codes = async (query) => {
        try {
          const [told] = await all(client, { query });
          return told.errors.map((error) => error.extensions.code);
        } catch (errors) {
          return errors.map((error) => error.extensions.code);
        }
      };
      assert.deepEqual(await codes('subscription { nothing }'), ['GRAPHQL_VALIDATION_FAILED']);
      const nobodys = 'subscription { stockChanged(productId: "no") { quantity } }';
      assert.deepEqual(await codes(nobodys), ['NOT_FOUND']);
      await client.dispose();
    });

    it('stops when it wants to, and goes on with others', async () => {
      const client = connect(() => served.url);
      const slow = WATCH.replace('every: 10', 'every: 100000');
      const { value, stop } = await first(client, { query: slow, variables: { id: '1' } });
      assert.ok(value.data.stockChanged.quantity > 0);
      stop();
      const [asked] = await all(client, { query: PRODUCT });
      assert.ok(asked.data.product.name);
      await client.dispose();
    });

    it('comes back by itself when the gateway is replaced by another', async () => {
      let current = await serve();
      const client = connect(() => current.url, { retryAttempts: 20, retryWait: async () => {} });
      const slow = WATCH.replace('every: 10', 'every: 100000');
      const seen = [];
      const again = new Promise((resolve, reject) => {
        client.subscribe({ query: slow, variables: { id: '1' } }, {
          next: async (value) => {
            seen.push(value.data.stockChanged.quantity);
            if (seen.length > 1) return resolve();
            const old = current;
            current = await serve();
            await old.stop();
          },
          error: reject,
          complete: () => reject(new Error('it is not complete')),
        });
      });
      await again;
      assert.equal(seen[0], seen[1]);
      await client.dispose();
      await current.stop();
    });
  });
}
