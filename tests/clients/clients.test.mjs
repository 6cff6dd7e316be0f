// Apollo Client, urql and Relay, each with what its applications use, run the shop's operations:
//   SWITCHBOARD_BIN=../../target/debug/switchboard SUBGRAPHS_BIN=../../target/debug/switchboard-subgraphs npm test
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client, fetchExchange, gql as urql } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { Environment, Network, RecordSource, Store, commitMutation, fetchQuery } from 'relay-runtime';
import { HERE, binary, gateway, recording, services } from './shop.mjs';

const run = promisify(execFile);
const sha256 = async (text) => createHash('sha256').update(text).digest('hex');

let shop;
before(async () => {
  shop = await services();
});
after(() => shop?.stop());

const PAGE = `
  query Page($limit: Int!) {
    products(limit: $limit) { id name price stock: inventory { available } reviews(first: 2) { rating user { id name } } }
  }`;
const USER = 'query User($id: ID!) { user(id: $id) { id name email orders { id } } }';
const CREATE = 'mutation Create($input: CreateUserInput!) { createUser(input: $input) { id name email } }';

describe('Apollo Client', () => {
  let served;
  before(async () => {
    served = await gateway('switchboard.yaml', shop.variables);
  });
  after(() => served?.stop());

  function client(recorded, options = {}) {
    const http = new HttpLink({ uri: served.url, fetch: recorded.fetch });
    const link = new PersistedQueryLink({ sha256, ...options }).concat(http);
    return new ApolloClient({ link, cache: new InMemoryCache() });
  }

  it('registers a query once and then sends its hash', async () => {
    const first = recording();
    const one = await client(first).query({ query: gql(PAGE), variables: { limit: 3 } });
    assert.equal(one.data.products.length, 3);
    assert.ok(one.data.products.every((product) => product.stock && product.reviews.length <= 2));
    assert.deepEqual(first.asked.map((it) => it.split(' ')[1]), ['hash', 'text']);
    const second = recording();
    const other = await client(second).query({ query: gql(PAGE), variables: { limit: 2 } });
    assert.deepEqual(other.data.products, one.data.products.slice(0, 2));
    assert.deepEqual(second.asked, ['POST hash 200']);
  });

  it('sends hashes with GET, which caches on the way understand', async () => {
    const recorded = recording();
    const apollo = client(recorded, { useGETForHashedQueries: true });
    await apollo.query({ query: gql(PAGE), variables: { limit: 1 } });
    const again = await apollo.query({ query: gql(PAGE), variables: { limit: 2 } });
    assert.equal(again.data.products.length, 2);
    assert.equal(recorded.asked.at(-1), 'GET hash 200');
  });

  it('sends mutations whole', async () => {
    const recorded = recording();
    const input = { name: 'Ada Apollo', email: 'ada.apollo@example.org' };
    const { data } = await client(recorded).mutate({ mutation: gql(CREATE), variables: { input } });
    assert.equal(data.createUser.email, input.email);
    assert.ok(recorded.asked.every((it) => it.startsWith('POST')));
  });

  it('reads what is refused as errors with codes', async () => {
    const apollo = client(recording());
    await assert.rejects(apollo.query({ query: gql('{ products { nope } }') }), (error) => {
      assert.ok(CombinedGraphQLErrors.is(error), String(error));
      assert.equal(error.errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
      return true;
    });
    const { data } = await apollo.query({ query: gql(USER), variables: { id: '999999' } });
    assert.equal(data.user, null);
  });
});

describe('urql', () => {
  let served;
  before(async () => {
    served = await gateway('switchboard.yaml', shop.variables);
  });
  after(() => served?.stop());

  function client(recorded, options = {}) {
    const exchanges = [persistedExchange({ generateHash: sha256, preferGetForPersistedQueries: false, ...options }), fetchExchange];
    return new Client({ url: served.url, exchanges, fetch: recorded.fetch, preferGetMethod: false });
  }

  it('registers a query once and then sends its hash', async () => {
    const recorded = recording();
    const first = await client(recorded).query(urql(PAGE), { limit: 3 }).toPromise();
    assert.equal(first.error, undefined);
    assert.equal(first.data.products.length, 3);
    assert.deepEqual(recorded.asked.map((it) => it.split(' ')[1]), ['hash', 'text']);
    const second = recording();
    const again = await client(second).query(urql(PAGE), { limit: 3 }).toPromise();
    assert.deepEqual(again.data, first.data);
    assert.deepEqual(second.asked, ['POST hash 200']);
  });

  it('sends hashes with GET where it prefers to', async () => {
    const recorded = recording();
    const result = await client(recorded, { preferGetForPersistedQueries: true })
      .query(urql(PAGE), { limit: 1 })
      .toPromise();
    assert.equal(result.error, undefined);
    assert.equal(recorded.asked.at(-1), 'GET hash 200');
  });

  it('sends mutations, and reads errors with their codes', async () => {
    const urqlClient = client(recording());
    const input = { name: 'Uwe Urql', email: 'uwe.urql@example.org' };
    const created = await urqlClient.mutation(urql(CREATE), { input }).toPromise();
    assert.equal(created.data.createUser.name, input.name);
    const wrong = await urqlClient.query(urql('{ nope }'), {}).toPromise();
    assert.equal(wrong.error.graphQLErrors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
  });
});

describe('Relay', () => {
  let served;
  let page;
  let rename;
  before(async () => {
    await compile();
    served = await gateway('trusted.yaml', shop.variables);
    ({ default: page } = await import('./relay/__generated__/operationsPageQuery.graphql.js'));
    ({ default: rename } = await import('./relay/__generated__/operationsRenameMutation.graphql.js'));
  });
  after(() => served?.stop());

  /** The schema as applications get it, then the application's operations and their manifest. */
  async function compile() {
    const env = { ...process.env, ...shop.variables };
    const { stdout } = await run(binary('SWITCHBOARD_BIN'), ['compose', '--config', 'switchboard.yaml'], { cwd: HERE, env });
    await writeFile(`${HERE}relay/schema.graphql`, stdout);
    await writeFile(`${HERE}relay/operations.json`, '{}');
    // What is generated already is not written down again.
    await rm(`${HERE}relay/__generated__`, { recursive: true, force: true });
    await mkdir(`${HERE}relay/__generated__`);
    await run(`${HERE}node_modules/.bin/relay-compiler`, ['relay.config.json'], { cwd: `${HERE}relay` });
  }

  function environment() {
    const network = Network.create(async ({ id }, variables) => post({ doc_id: id, variables }));
    return new Environment({ network, store: new Store(new RecordSource()) });
  }

  async function post(body) {
    const response = await fetch(served.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return response.json();
  }

  it('runs operations by the ids that its compiler made', async () => {
    const data = await fetchQuery(environment(), page, { limit: 3 }).toPromise();
    assert.equal(data.products.length, 3);
    assert.ok(data.products[0].name);
  });

  it('normalises what a mutation answers', async () => {
    const relay = environment();
    const answer = await new Promise((resolve, reject) => {
      const variables = { id: '1', name: 'Rita Relay' };
      commitMutation(relay, { mutation: rename, variables, onCompleted: resolve, onError: reject });
    });
    assert.equal(answer.updateUser.name, 'Rita Relay');
    assert.equal(relay.getStore().getSource().get('1').name, 'Rita Relay');
  });

  it('is the only one that is served', async () => {
    const refused = await post({ query: '{ __typename }' });
    assert.equal(refused.status, 403);
    assert.match(refused.type, /document-not-trusted$/);
  });
});
