/**
 * What a gateway tells about one operation in `extensions.switchboard`: its plan and the upstream
 * calls it made. Everything in it is optional and comes over the wire, so this module turns it
 * into fully typed values once. It must not know how they are shown.
 */

/** One fetch of the plan. `dependsOn` names the steps whose answers it needs. */
export interface PlanStep {
  id: number;
  kind: string;
  source: string;
  /** `Query.products` for a root field, `User` for an entity. */
  field: string;
  call: string;
  batch: boolean;
  dependsOn: number[];
  selects: string;
}

export interface Plan {
  /** The plan as the gateway prints it. */
  text: string | null;
  steps: PlanStep[];
}

/** Where a reply came from. */
export type Origin = 'service' | 'merged' | 'cache' | 'stale';

/** One attempt at a call. Times are microseconds since the operation began. */
export interface UpstreamCall {
  step: number | null;
  source: string;
  method: string;
  target: string;
  startMicros: number;
  endMicros: number;
  status: string;
  keys: number | null;
  bytes: number | null;
  error: string | null;
  /**
   * `merged`: by a call that another operation had already in flight. `cache`: by a reply that was
   * kept. `stale`: by the last good reply, since the service failed.
   */
  origin: Origin;
  /** 0 is the first attempt. */
  attempt: number;
  /** A second attempt beside one that took long. */
  hedge: boolean;
  /** How the breaker stood: `closed`, `half-open` or `open`. */
  breaker: string;
}

export interface Trace {
  planCached: boolean | null;
  planMicros: number | null;
  executeMicros: number | null;
  totalMicros: number | null;
  calls: UpstreamCall[];
}

export interface Report {
  plan: Plan | null;
  trace: Trace | null;
}

type Json = Record<string, unknown>;

/** Null when the value says nothing about a plan or a trace. */
export function readReport(value: unknown): Report | null {
  if (!isObject(value)) return null;
  const report = { plan: readPlan(value.plan), trace: readTrace(value.trace) };
  return report.plan || report.trace ? report : null;
}

function readPlan(value: unknown): Plan | null {
  if (!isObject(value)) return null;
  const plan = { text: textOrNull(value.text), steps: objects(value.steps).map(readStep) };
  return plan.text || plan.steps.length > 0 ? plan : null;
}

function readStep(step: Json, index: number): PlanStep {
  return {
    id: numberOrNull(step.id) ?? index,
    kind: text(step.kind),
    source: text(step.source),
    field: text(step.field),
    call: text(step.call),
    batch: step.batch === true,
    dependsOn: list(step.dependsOn).filter((id) => typeof id === 'number'),
    selects: text(step.selects),
  };
}

function readTrace(value: unknown): Trace | null {
  if (!isObject(value)) return null;
  return {
    planCached: typeof value.planCached === 'boolean' ? value.planCached : null,
    planMicros: numberOrNull(value.planMicros),
    executeMicros: numberOrNull(value.executeMicros),
    totalMicros: numberOrNull(value.totalMicros),
    calls: objects(value.calls).map(readCall),
  };
}

function readCall(call: Json): UpstreamCall {
  const startMicros = Math.max(0, numberOrNull(call.startMicros) ?? 0);
  return {
    step: numberOrNull(call.step),
    source: text(call.source),
    method: text(call.method),
    target: text(call.target),
    startMicros,
    endMicros: Math.max(startMicros, numberOrNull(call.endMicros) ?? startMicros),
    status: text(call.status),
    keys: numberOrNull(call.keys),
    bytes: numberOrNull(call.bytes),
    error: readError(call.error),
    origin: readOrigin(call),
    attempt: numberOrNull(call.attempt) ?? 0,
    hedge: call.hedge === true,
    breaker: textOrNull(call.breaker) ?? 'closed',
  };
}

/** Replies that were kept have a word for a status. */
function readOrigin(call: Json): Origin {
  if (call.status === 'cached') return 'cache';
  if (call.status === 'stale') return 'stale';
  return call.coalesced === true ? 'merged' : 'service';
}

function readError(value: unknown): string | null {
  return isObject(value) ? (textOrNull(value.message) ?? JSON.stringify(value)) : textOrNull(value);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objects(value: unknown): Json[] {
  return list(value).filter(isObject);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Statuses arrive as text or as a number. */
function text(value: unknown): string {
  return typeof value === 'number' ? String(value) : (textOrNull(value) ?? '');
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
