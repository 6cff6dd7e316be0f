import { describe, expect, it } from 'vitest';
import type { Trace, UpstreamCall } from './report';
import { badgesOf, waterfall } from './waterfall';

describe('waterfall', () => {
  it('places each bar by its share of the total time', () => {
    const { spanMicros, bars } = waterfall(trace(1000, call(0, 250), call(250, 1000)));
    expect(spanMicros).toBe(1000);
    expect(bars.map(({ left, width }) => [left, width])).toEqual([
      [0, 25],
      [25, 75],
    ]);
  });

  it('orders the bars by when the calls began', () => {
    const { bars } = waterfall(trace(100, call(50, 60), call(0, 90), call(0, 10)));
    expect(bars.map((bar) => bar.call.endMicros)).toEqual([10, 90, 60]);
  });

  it('stretches to the last call when the total is missing or too small', () => {
    expect(waterfall(trace(null, call(0, 400))).spanMicros).toBe(400);
    expect(waterfall(trace(100, call(0, 400))).spanMicros).toBe(400);
  });

  it('keeps a bar of no length visible and inside the time line', () => {
    const [bar] = waterfall(trace(1000, call(1000, 1000))).bars;
    expect(bar?.width).toBeGreaterThan(0);
    expect((bar?.left ?? 0) + (bar?.width ?? 0)).toBeLessThanOrEqual(100);
  });

  it('has finite geometry when nothing took any time', () => {
    const { bars, ticks } = waterfall(trace(0, call(0, 0)));
    for (const { left, width } of bars) expect([left, width].every(Number.isFinite)).toBe(true);
    expect(ticks.every((tick) => Number.isFinite(tick.left))).toBe(true);
  });

  it('ticks at round times', () => {
    expect(waterfall(trace(5500)).ticks.map((tick) => tick.label)).toEqual(['0', '2 ms', '4 ms']);
    expect(waterfall(trace(1000)).ticks.map((tick) => tick.label)).toEqual([
      '0',
      '200 µs',
      '400 µs',
      '600 µs',
      '800 µs',
      '1 ms',
    ]);
  });

  it.each([
    ['200', null, 'ok'],
    ['OK', null, 'ok'],
    ['404', null, 'refused'],
    ['503', null, 'failed'],
    ['', 'connection refused', 'failed'],
    ['200', 'not as declared', 'failed'],
    ['superseded', 'superseded', 'superseded'],
  ])('shows status %o with error %o as %s', (status, error, tone) => {
    const [bar] = waterfall(trace(10, { ...call(0, 1), status, error })).bars;
    expect(bar?.tone).toBe(tone);
  });
});

describe('badges', () => {
  it.each([
    [{}, []],
    [{ attempt: 2 }, ['retry 2']],
    [{ attempt: 1, hedge: true }, ['hedge']],
    [{ error: 'superseded' }, ['overtaken']],
    [{ origin: 'cache' as const }, ['cached']],
    [{ origin: 'merged' as const }, ['merged']],
    [{ origin: 'stale' as const, breaker: 'open' }, ['stale', 'breaker open']],
    [{ breaker: 'half-open' }, ['breaker half-open']],
  ])('tells %o as %o', (unusual, badges) => {
    expect(badgesOf({ ...call(0, 1), ...unusual })).toEqual(badges);
  });
});

function trace(totalMicros: number | null, ...calls: UpstreamCall[]): Trace {
  return { planCached: null, planMicros: null, executeMicros: null, totalMicros, calls };
}

function call(startMicros: number, endMicros: number): UpstreamCall {
  return {
    step: 0,
    source: 's',
    method: 'GET',
    target: '/',
    startMicros,
    endMicros,
    status: '200',
    keys: null,
    bytes: null,
    error: null,
    origin: 'service',
    attempt: 0,
    hedge: false,
    breaker: 'closed',
  };
}
