/** The report in one line: `4 upstream calls · 5.5 ms · plan cached`. */
import { formatMicros, plural } from './format';
import type { Report, Trace, UpstreamCall } from './report';
import { toneOf } from './waterfall';

export function summarize(report: Report): string {
  if (report.trace) return traceParts(report.trace).join(' · ');
  return plural(report.plan?.steps.length ?? 0, 'planned step');
}

function traceParts(trace: Trace): string[] {
  const count = (is: (call: UpstreamCall) => boolean) => trace.calls.filter(is).length;
  const kept = count((call) => call.origin === 'cache' || call.origin === 'stale');
  const calls = trace.calls.length - kept;
  const failed = count((call) => toneOf(call) === 'failed');
  const again = count((call) => call.attempt > 0);
  return [
    calls === 0 ? 'no upstream call' : plural(calls, 'upstream call'),
    failed > 0 ? `${failed} failed` : null,
    again > 0 ? `${again} repeated` : null,
    kept > 0 ? `${kept} kept` : null,
    trace.totalMicros === null ? null : formatMicros(trace.totalMicros),
    planPart(trace),
  ].filter((part) => part !== null);
}

function planPart(trace: Trace): string | null {
  if (trace.planCached) return 'plan cached';
  if (trace.planMicros === null) return null;
  return `planned in ${formatMicros(trace.planMicros)}`;
}
