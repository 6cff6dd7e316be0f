// A gateway of fixed answers over the built page, for what a healthy gateway does not show on demand:
// failed calls, answers without a report, refusals. It also holds the page to the content security
// policy that the README asks of a gateway.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSchema, graphql } from 'graphql';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));

export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const CONTENT_TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.md': 'text/markdown; charset=utf-8',
};

const SCHEMA = buildSchema(`
  type Query { products(limit: Int = 20): [Product!] user(id: ID!): User }
  type Product { id: ID! name: String! price: Float! inventory: Inventory reviews: [Review!] }
  type Inventory { available: Boolean! quantity: Int! }
  type Review { rating: Int! comment: String user: User }
  type User { id: ID! name: String! email: String! }
`);

const USERS = ['Ada Boateng', 'Milo Castellan', 'Ines Dvořák'].map((name, index) => ({
  id: String(index + 1),
  name,
  email: `user${index + 1}@example.com`,
}));

const DATA = {
  products: ({ limit }) =>
    Array.from({ length: limit }, (_, index) => ({
      id: String(index + 1),
      name: `Lamp no. ${index + 1}`,
      price: 19.5 + index,
      inventory: { available: index % 3 !== 0, quantity: index },
      reviews: [{ rating: 1 + (index % 5), comment: 'Bright enough.', user: USERS[index % 3] }],
    })),
  user: ({ id }) => USERS.find((user) => user.id === id) ?? null,
};

const STEPS = [
  ['GRPC', 'products', 'Query.products', 'ecommerce.v1.ProductService/ListProducts', false, [], 'id name price'],
  ['GRPC', 'inventory', 'Product.inventory', 'inventory.v1.InventoryService/BatchGetStock', true, [0], 'available'],
  ['REST', 'reviews', 'Product.reviews', 'GET /reviews?product_id={$batch.id}', true, [0], 'rating comment user_id'],
  ['REST', 'users', 'User', 'GET /users?id={$batch.id}', true, [2], 'name'],
].map(([kind, source, field, call, batch, dependsOn, selects], id) => ({
  id,
  kind,
  source,
  field,
  call,
  batch,
  dependsOn,
  selects,
}));

const CALLS = [
  [0, 'products', 'GRPC', 'ecommerce.v1.ProductService/ListProducts', 60, 1480, 'OK', null, 1630],
  [1, 'inventory', 'GRPC', 'inventory.v1.InventoryService/BatchGetStock', 1510, 2390, 'OK', 20, 212],
  [2, 'reviews', 'GET', '/reviews?product_id=1&product_id=2&product_id=3&limit=500', 1520, 3910, '200', 20, 9433],
  [3, 'users', 'GET', '/users?id=1&id=2&id=3', 3960, 5300, '200', 3, 402],
].map(([step, source, method, target, startMicros, endMicros, status, keys, bytes]) => ({
  step,
  source,
  method,
  target,
  startMicros,
  endMicros,
  status,
  keys,
  bytes,
  error: null,
  coalesced: false,
  attempt: 0,
  hedge: false,
  breaker: 'closed',
}));

const REPORT = {
  plan: {
    text: [
      'ListProducts                 products   { id name price }',
      '├─ BatchGetStock   batch     inventory  { available }',
      '└─ GET /reviews    batch     reviews    { rating comment user_id }',
      '   └─ GET /users   batch     users      { name }',
    ].join('\n'),
    steps: STEPS,
  },
  trace: { planCached: true, planMicros: 3, executeMicros: 5420, totalMicros: 5500, calls: CALLS },
};

const FAILED_REPORT = {
  plan: REPORT.plan,
  trace: {
    ...REPORT.trace,
    planCached: false,
    planMicros: 120,
    calls: [
      CALLS[0],
      { ...CALLS[1], coalesced: true },
      { ...CALLS[2], status: '503', error: 'the reviews service is not available' },
    ],
  },
};

const UNUSUAL_REPORT = {
  plan: REPORT.plan,
  trace: {
    ...REPORT.trace,
    calls: [
      { ...CALLS[0], endMicros: 700, status: 'UNAVAILABLE', error: 'failed' },
      { ...CALLS[0], startMicros: 900, attempt: 1, breaker: 'half-open' },
      { ...CALLS[1], status: 'cached', coalesced: true, endMicros: 1530 },
      { ...CALLS[2], status: 'superseded', error: 'superseded' },
      { ...CALLS[2], startMicros: 3000, attempt: 1, hedge: true },
      { ...CALLS[3], status: 'circuit open', error: 'circuit_open', breaker: 'open', endMicros: 3970 },
      { ...CALLS[3], status: 'stale', coalesced: true, startMicros: 3980, endMicros: 3990 },
    ],
  },
};

/** What the operation's name asks of the fixture; any other name gets the healthy report. */
const EXTENSIONS_OF = {
  Plain: undefined,
  OnlyOthers: { cost: 12 },
  OnlyText: { switchboard: { plan: { text: REPORT.plan.text } } },
  Failing: { switchboard: FAILED_REPORT },
  Unusual: { switchboard: UNUSUAL_REPORT },
};

/** Listens on a free port of this machine; `close` ends every connection. */
export async function startFixtureGateway() {
  const server = createServer((request, response) => {
    const answer = request.method === 'POST' ? answerOperation(request) : answerFile(request.url);
    answer.then(({ status = 200, type, body }) => {
      response.writeHead(status, { 'content-type': type, 'content-security-policy': CONTENT_SECURITY_POLICY });
      response.end(body);
    });
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const close = () =>
    new Promise((closed) => {
      server.close(closed);
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${server.address().port}/playground`, close };
}

async function answerFile(url) {
  const path = normalize(url.replace(/^\/playground\/?/, '/'));
  const file = join(DIST, path === '/' ? 'index.html' : path);
  try {
    return { type: CONTENT_TYPES[extname(file)] ?? 'application/octet-stream', body: await readFile(file) };
  } catch {
    return { status: 404, type: 'text/plain', body: 'not found' };
  }
}

async function answerOperation(request) {
  const { query, variables, operationName, extensions } = JSON.parse(await textOf(request));
  if (operationName === 'Refused') return refusal();
  const result = await graphql({
    schema: SCHEMA,
    rootValue: DATA,
    source: query,
    variableValues: variables,
    operationName,
  });
  const asked = extensions?.switchboard?.plan === true && extensions.switchboard.trace === true;
  const told = operationName in EXTENSIONS_OF ? EXTENSIONS_OF[operationName] : { switchboard: REPORT };
  const body = JSON.stringify(asked && !result.errors ? { ...result, extensions: told } : result);
  return { type: 'application/graphql-response+json; charset=utf-8', body };
}

function refusal() {
  const problem = { type: 'about:blank', title: 'Too many requests', status: 429, detail: 'Try again in 3 seconds.' };
  return { status: 429, type: 'application/problem+json', body: JSON.stringify(problem) };
}

async function textOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
