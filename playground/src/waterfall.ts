/**
 * Where each upstream call lies on the time line, in percent of the whole. Pure geometry: it must
 * not know how a bar is drawn.
 */
import { formatMicros } from './format';
import type { Origin, Trace, UpstreamCall } from './report';

export type Tone = 'ok' | 'refused' | 'failed' | 'superseded' | 'stale';

export interface Bar {
  call: UpstreamCall;
  /** Percent of the time line; `left + width` never exceeds 100. */
  left: number;
  width: number;
  durationMicros: number;
  tone: Tone;
}

export interface Tick {
  left: number;
  label: string;
}

export interface WaterfallChart {
  spanMicros: number;
  bars: Bar[];
  ticks: Tick[];
}

/** A call that took no measurable time is still to be seen. */
const NARROWEST_BAR = 0.8;

export function waterfall(trace: Trace): WaterfallChart {
  const spanMicros = spanOf(trace);
  const bars = inStartOrder(trace.calls).map((call) => barOf(call, spanMicros));
  return { spanMicros, bars, ticks: ticksOf(spanMicros) };
}

/** A missing total, or one smaller than what the calls say, gives way to the last call's end. */
function spanOf(trace: Trace): number {
  const ends = trace.calls.map((call) => call.endMicros);
  return Math.max(1, trace.totalMicros ?? 0, trace.executeMicros ?? 0, ...ends);
}

function inStartOrder(calls: UpstreamCall[]): UpstreamCall[] {
  return [...calls].sort((a, b) => a.startMicros - b.startMicros || a.endMicros - b.endMicros);
}

function barOf(call: UpstreamCall, spanMicros: number): Bar {
  const durationMicros = call.endMicros - call.startMicros;
  const width = Math.max(NARROWEST_BAR, percent(durationMicros, spanMicros));
  const left = Math.min(percent(call.startMicros, spanMicros), 100 - width);
  return { call, left, width, durationMicros, tone: toneOf(call) };
}

/**
 * A 404 may be a plain null, so an HTTP refusal without an error is not shown as a failure. Nor is
 * an attempt that another one beside it has overtaken.
 */
export function toneOf(call: UpstreamCall): Tone {
  if (call.error === 'superseded') return 'superseded';
  if (call.origin === 'stale') return 'stale';
  if (call.error !== null || /^5\d\d\b/.test(call.status)) return 'failed';
  return /^4\d\d\b/.test(call.status) ? 'refused' : 'ok';
}

/** Round times (1, 2 or 5 times a power of ten), at most five of them after zero. */
function ticksOf(spanMicros: number): Tick[] {
  const step = roundStep(spanMicros / 5);
  const count = Math.floor(spanMicros / step);
  return Array.from({ length: count + 1 }, (_, index) => ({
    left: percent(index * step, spanMicros),
    label: index === 0 ? '0' : formatMicros(index * step),
  }));
}

function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? least;
}

/** What is unusual about an attempt, in words for a badge each. */
export function badgesOf(call: UpstreamCall): string[] {
  return [
    call.hedge ? 'hedge' : null,
    call.attempt > 0 && !call.hedge ? `retry ${call.attempt}` : null,
    call.error === 'superseded' ? 'overtaken' : null,
    ORIGIN_BADGES[call.origin],
    call.breaker === 'closed' ? null : `breaker ${call.breaker}`,
  ].filter((badge) => badge !== null);
}

const ORIGIN_BADGES: Record<Origin, string | null> = {
  service: null,
  merged: 'merged',
  cache: 'cached',
  stale: 'stale',
};

function percent(part: number, whole: number): number {
  return (100 * part) / whole;
}
