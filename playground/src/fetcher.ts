/**
 * How the page asks the gateway: one POST per operation, and one WebSocket per subscription, with the
 * request for a plan and a trace in `extensions.switchboard`. The report is taken out of the answer,
 * so that the reader sees the answer any client would get.
 */
import type { Fetcher, FetcherOpts, FetcherParams, Observable } from '@graphiql/toolkit';
import { Kind, OperationTypeNode, parse, type ExecutionResult, type OperationDefinitionNode } from 'graphql';
import { createClient, type SubscribePayload } from 'graphql-ws';
import { readReport, type Report } from './report';

export interface FetcherOptions {
  endpoint: string;
  /** Called once per answered operation; null when the answer told nothing. */
  onReport: (report: Report | null) => void;
}

/** GraphiQL's own question for the schema. It has a plan of no interest. */
const INTROSPECTION = 'IntrospectionQuery';

const REPORT_REQUEST = { switchboard: { plan: true, trace: true } };

/** Observable rather than a promise: only then does GraphiQL's stop button cancel the request. */
export function switchboardFetcher({ endpoint, onReport }: FetcherOptions): Fetcher {
  const report = (answer: ExecutionResult) => {
    const { shown, report } = takeReport(answer);
    onReport(report);
    return shown;
  };
  return (operation, options) => {
    const asked = { ...withNameInQuery(operation), extensions: REPORT_REQUEST };
    if (isSubscription(asked)) return events(endpoint, asked, options, report);
    return cancellable(async (signal) => {
      const introspects = operation.operationName === INTROSPECTION;
      const answer = await post(endpoint, introspects ? operation : asked, options, signal);
      return introspects ? answer : report(answer);
    });
  };
}

/**
 * GraphiQL learns the name of an edited operation a moment after the edit. An operation run in that
 * moment carries the old name, which no gateway can find in the query.
 */
function withNameInQuery({ operationName, ...operation }: FetcherParams): FetcherParams {
  const names = operationNames(operation.query);
  if (operationName && names.includes(operationName)) return { ...operation, operationName };
  return names.length === 1 ? { ...operation, operationName: names[0] } : operation;
}

function operationNames(query: string): string[] {
  return operations(query).flatMap(({ name }) => (name ? [name.value] : []));
}

/** None for a query that cannot be read: the gateway says best what is wrong with it. */
function operations(query: string): OperationDefinitionNode[] {
  try {
    const { definitions } = parse(query, { noLocation: true });
    return definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  } catch {
    return [];
  }
}

/** Which of several operations is meant is known by its name alone. */
export function isSubscription({ query, operationName }: FetcherParams): boolean {
  const all = operations(query);
  const meant = all.length === 1 ? all[0] : all.find(({ name }) => name && name.value === operationName);
  return meant?.operation === OperationTypeNode.SUBSCRIPTION;
}

/** The answer without `extensions.switchboard`, and without `extensions` if nothing else is in it. */
export function takeReport(answer: ExecutionResult): { shown: ExecutionResult; report: Report | null } {
  const { switchboard, ...others } = answer.extensions ?? {};
  if (switchboard === undefined) return { shown: answer, report: null };
  const { extensions: _, ...bare } = answer;
  const shown = Object.keys(others).length > 0 ? { ...bare, extensions: others } : bare;
  return { shown, report: readReport(switchboard) };
}

async function post(
  endpoint: string,
  body: FetcherParams,
  options: FetcherOpts | undefined,
  signal: AbortSignal,
): Promise<ExecutionResult> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: requestHeaders(options?.headers),
    body: JSON.stringify(body),
    credentials: 'same-origin',
    signal,
  });
  return readAnswer(response);
}

/** What the reader wrote in the headers editor wins. */
function requestHeaders(written: Record<string, unknown> = {}): Headers {
  const headers = new Headers({
    accept: 'application/graphql-response+json, application/json;q=0.9',
    'content-type': 'application/json',
  });
  for (const [name, value] of Object.entries(written)) headers.set(name, String(value));
  return headers;
}

/** A refusal (`application/problem+json`) is JSON too and is shown as it is. */
async function readAnswer(response: Response): Promise<ExecutionResult> {
  const text = await response.text();
  try {
    return JSON.parse(text) as ExecutionResult;
  } catch {
    throw new Error(`HTTP ${response.status}: the answer is not JSON.\n${text.slice(0, 500)}`);
  }
}

/** A socket of its own for each subscription; what the reader wrote in the headers editor goes with it. */
function events(
  endpoint: string,
  operation: FetcherParams,
  options: FetcherOpts | undefined,
  report: (answer: ExecutionResult) => ExecutionResult,
): Observable<ExecutionResult> {
  const subscribe = (observer: Observer<ExecutionResult>) => {
    const client = createClient({
      url: socketAddress(endpoint, window.location.href),
      connectionParams: options?.headers,
      retryAttempts: 0,
    });
    const stop = client.subscribe(operation as unknown as SubscribePayload, {
      next: (answer) => observer.next(report(answer as ExecutionResult)),
      error: (error) => observer.error(error),
      complete: () => observer.complete(),
    });
    return {
      unsubscribe: () => {
        stop();
        void client.dispose();
      },
    };
  };
  return { subscribe } as Observable<ExecutionResult>;
}

export function socketAddress(endpoint: string, page: string): string {
  const address = new URL(endpoint, page);
  address.protocol = address.protocol.replace('http', 'ws');
  return address.href;
}

interface Observer<T> {
  next: (value: T) => void;
  error: (error: unknown) => void;
  complete: () => void;
}

/** The type also allows three functions in place of the one object, which GraphiQL never passes. */
function cancellable<T>(work: (signal: AbortSignal) => Promise<T>): Observable<T> {
  const subscribe = (observer: Observer<T>) => {
    const controller = new AbortController();
    work(controller.signal)
      .then((value) => {
        observer.next(value);
        observer.complete();
      })
      .catch((error: unknown) => {
        if (!controller.signal.aborted) observer.error(error);
      });
    return { unsubscribe: () => controller.abort() };
  };
  return { subscribe } as Observable<T>;
}
