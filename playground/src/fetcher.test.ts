import { afterEach, describe, expect, it, vi } from 'vitest';
import { isSubscription, socketAddress, switchboardFetcher, takeReport } from './fetcher';
import type { Report } from './report';

afterEach(() => vi.unstubAllGlobals());

describe('takeReport', () => {
  it('takes the report out and leaves a clean answer', () => {
    const { shown, report } = takeReport({ data: { a: 1 }, extensions: { switchboard: { plan: { text: 'p' } } } });
    expect(shown).toEqual({ data: { a: 1 } });
    expect(report?.plan?.text).toBe('p');
  });

  it('leaves the extensions of others', () => {
    const { shown } = takeReport({ data: null, extensions: { switchboard: {}, cost: 7 } });
    expect(shown).toEqual({ data: null, extensions: { cost: 7 } });
  });

  it('leaves an answer without a report as it is', () => {
    const answer = { data: null, extensions: {} };
    expect(takeReport(answer)).toEqual({ shown: answer, report: null });
  });
});

describe('switchboardFetcher', () => {
  it('asks for the plan and the trace, with the headers of the editor', async () => {
    const sent = gatewayAnswers('{"data":{}}');
    await run({ query: '{ a }', variables: { b: 1 } }, { 'X-Tenant': 'blue', Accept: 'application/json' });
    const [url, request] = sent.mock.calls[0] ?? [];
    expect(url).toBe('/graphql');
    expect(JSON.parse(String(request?.body))).toEqual({
      query: '{ a }',
      variables: { b: 1 },
      extensions: { switchboard: { plan: true, trace: true } },
    });
    const headers = new Headers(request?.headers);
    expect(headers.get('x-tenant')).toBe('blue');
    expect(headers.get('accept')).toBe('application/json');
    expect(headers.get('content-type')).toBe('application/json');
  });

  it.each([
    ['query New { a }', 'New', 'New'],
    ['query New { a }', 'Old', 'New'],
    ['query A { a } query B { a }', 'B', 'B'],
    ['query A { a } query B { a }', 'Old', undefined],
    ['{ a }', 'Old', undefined],
    ['query {', 'Old', undefined],
  ])('names an operation of the query: %s run as %s', async (query, operationName, sentName) => {
    const sent = gatewayAnswers('{"data":{}}');
    await run({ query, operationName });
    expect(JSON.parse(String(sent.mock.calls[0]?.[1]?.body)).operationName).toBe(sentName);
  });

  it('reports null when the gateway tells nothing', async () => {
    gatewayAnswers('{"data":{}}');
    expect((await run({ query: '{ a }' })).reports).toEqual([null]);
  });

  it('asks for no report on introspection', async () => {
    const sent = gatewayAnswers('{"data":{}}');
    const { reports } = await run({ query: '{ __schema { x } }', operationName: 'IntrospectionQuery' });
    expect(JSON.parse(String(sent.mock.calls[0]?.[1]?.body))).not.toHaveProperty('extensions');
    expect(reports).toEqual([]);
  });

  it('says what came when it is not JSON', async () => {
    gatewayAnswers('<h1>Bad gateway</h1>', 502);
    await expect(run({ query: '{ a }' })).rejects.toThrow(/HTTP 502.*\n<h1>Bad gateway/);
  });

  it('cancels the request when GraphiQL stops listening', () => {
    const sent = vi.fn((_: string, __: RequestInit) => new Promise<Response>(() => {}));
    vi.stubGlobal('fetch', sent);
    const observable = switchboardFetcher({ endpoint: '/graphql', onReport: () => {} })({ query: '{ a }' });
    (observable as Subscribable).subscribe({ next() {}, error() {}, complete() {} }).unsubscribe();
    expect(sent.mock.calls[0]?.[1].signal?.aborted).toBe(true);
  });
});

interface Subscribable {
  subscribe(observer: {
    next: (value: unknown) => void;
    error: (error: unknown) => void;
    complete: () => void;
  }): { unsubscribe: () => void };
}

function gatewayAnswers(body: string, status = 200) {
  const sent = vi.fn(async (_: string, __?: RequestInit) => new Response(body, { status }));
  vi.stubGlobal('fetch', sent);
  return sent;
}

type Operation = Parameters<ReturnType<typeof switchboardFetcher>>[0];

async function run(operation: Operation, headers?: Record<string, string>) {
  const reports: (Report | null)[] = [];
  const fetcher = switchboardFetcher({ endpoint: '/graphql', onReport: (report) => reports.push(report) });
  const answered = fetcher(operation, { headers }) as Subscribable;
  const answer = await new Promise((resolve, reject) => {
    answered.subscribe({ next: resolve, error: reject, complete() {} });
  });
  return { answer, reports };
}

describe('a subscription', () => {
  it('is told from other operations of its document by its name', () => {
    const both = 'query A { a } subscription B { b }';
    expect(isSubscription({ query: both, operationName: 'B' })).toBe(true);
    expect(isSubscription({ query: both, operationName: 'A' })).toBe(false);
    expect(isSubscription({ query: 'subscription { b }' })).toBe(true);
    expect(isSubscription({ query: 'subscription {' })).toBe(false);
  });

  it('goes over a socket of the address that everything else goes to', () => {
    expect(socketAddress('/graphql', 'https://api.example.com/playground/')).toBe('wss://api.example.com/graphql');
    expect(socketAddress('/graphql', 'http://127.0.0.1:4000/playground/')).toBe('ws://127.0.0.1:4000/graphql');
  });
});
