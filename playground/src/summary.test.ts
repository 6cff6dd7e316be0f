import { describe, expect, it } from 'vitest';
import { formatBytes, formatMicros } from './format';
import { readReport } from './report';
import { summarize } from './summary';

describe('summarize', () => {
  it.each([
    [{ planCached: true, totalMicros: 5500, calls: [{}, {}, {}, {}] }, '4 upstream calls · 5.5 ms · plan cached'],
    [{ planCached: false, planMicros: 120, totalMicros: 900, calls: [{}] }, '1 upstream call · 900 µs · planned in 120 µs'],
    [{ totalMicros: 40, calls: [] }, 'no upstream call · 40 µs'],
    [{ calls: [{ error: 'refused' }, {}] }, '2 upstream calls · 1 failed'],
    [{ calls: [{ status: '503' }, { attempt: 1 }] }, '2 upstream calls · 1 failed · 1 repeated'],
    [{ calls: [{ status: 'cached' }, { status: 'stale' }] }, 'no upstream call · 2 kept'],
    [{ calls: [{ error: 'superseded' }, { attempt: 1, hedge: true }] }, '2 upstream calls · 1 repeated'],
  ])('%o', (trace, line) => {
    expect(summarized({ trace })).toBe(line);
  });

  it('counts the steps of a plan that was not traced', () => {
    expect(summarized({ plan: { steps: [{}, {}] } })).toBe('2 planned steps');
  });
});

describe('quantities', () => {
  it.each([
    [0, '0 µs'],
    [999, '999 µs'],
    [1000, '1 ms'],
    [5540, '5.5 ms'],
    [123_400, '123 ms'],
    [2_500_000, '2.5 s'],
  ])('%i microseconds', (micros, written) => {
    expect(formatMicros(micros)).toBe(written);
  });

  it.each([
    [0, '0 B'],
    [1234, '1.2 kB'],
    [7_000_000, '7 MB'],
  ])('%i bytes', (bytes, written) => {
    expect(formatBytes(bytes)).toBe(written);
  });
});

function summarized(value: unknown): string {
  const report = readReport(value);
  return report ? summarize(report) : 'nothing';
}
