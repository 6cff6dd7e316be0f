import { describe, expect, it } from 'vitest';
import { readReport } from './report';

describe('readReport', () => {
  it('reads a complete report as it is', () => {
    const report = {
      plan: {
        text: 'Fetch users',
        steps: [
          {
            id: 0,
            kind: 'REST',
            source: 'users',
            field: 'User',
            call: 'GET /users?id={$batch.id}',
            batch: true,
            dependsOn: [],
            selects: 'id name',
          },
        ],
      },
      trace: {
        planCached: true,
        planMicros: 120,
        executeMicros: 5300,
        totalMicros: 5500,
        calls: [
          {
            step: 0,
            source: 'users',
            method: 'GET',
            target: '/users?id=1&id=2',
            startMicros: 10,
            endMicros: 2300,
            status: '200',
            keys: 20,
            bytes: 1234,
            error: null,
            coalesced: true,
            attempt: 1,
            hedge: true,
            breaker: 'half-open',
          },
        ],
      },
    };
    const { coalesced, ...call } = report.trace.calls[0]!;
    expect(coalesced).toBe(true);
    expect(readReport(report)).toEqual({
      ...report,
      trace: { ...report.trace, calls: [{ ...call, origin: 'merged' }] },
    });
  });

  it.each([undefined, null, 'text', 7, [], {}, { plan: null, trace: 3 }, { plan: { steps: [] } }])(
    'finds no report in %o',
    (value) => {
      expect(readReport(value)).toBeNull();
    },
  );

  it.each([
    [{ status: '200' }, 'service'],
    [{ status: '200', coalesced: true }, 'merged'],
    [{ status: 'cached', coalesced: true }, 'cache'],
    [{ status: 'stale', coalesced: true }, 'stale'],
  ])('knows where the reply of %o came from', (call, origin) => {
    expect(readReport({ trace: { calls: [call] } })?.trace?.calls[0]?.origin).toBe(origin);
  });

  it('fills what is missing', () => {
    const report = readReport({ plan: { steps: [{}, null, { id: 5 }] }, trace: { calls: [{}] } });
    expect(report?.plan?.steps.map((step) => step.id)).toEqual([0, 5]);
    expect(report?.trace?.planCached).toBeNull();
    expect(report?.trace?.calls[0]).toMatchObject({ step: null, startMicros: 0, endMicros: 0, error: null });
  });

  it('never lets a call end before it began', () => {
    const report = readReport({ trace: { calls: [{ startMicros: 50, endMicros: 20 }] } });
    expect(report?.trace?.calls[0]).toMatchObject({ startMicros: 50, endMicros: 50 });
  });

  it('takes a status as a number and an error as an object', () => {
    const report = readReport({ trace: { calls: [{ status: 503, error: { message: 'too busy' } }] } });
    expect(report?.trace?.calls[0]).toMatchObject({ status: '503', error: 'too busy' });
  });
});
