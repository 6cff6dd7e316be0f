/**
 * How the page asks the gateway: one POST per operation, with the request for a plan and a trace in
 * `extensions.switchboard`. The report is taken out of the answer, so that the reader sees the
 * answer any client would get.
 */
import type { Fetcher, FetcherOpts, FetcherParams, Observable } from '@graphiql/toolkit';
import { Kind, parse, type ExecutionResult } from 'graphql';
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
  return (operation, options) =>
    cancellable(async (signal) => {
      const introspects = operation.operationName === INTROSPECTION;
      const body = introspects ? operation : { ...withNameInQuery(operation), extensions: REPORT_REQUEST };
      const answer = await post(endpoint, body, options, signal);
      if (introspects) return answer;
      const { shown, report } = takeReport(answer);
      onReport(report);
      return shown;
    });
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

/** None for a query that cannot be read: the gateway says best what is wrong with it. */
function operationNames(query: string): string[] {
  try {
    return parse(query, { noLocation: true }).definitions.flatMap((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION && definition.name ? [definition.name.value] : [],
    );
  } catch {
    return [];
  }
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
