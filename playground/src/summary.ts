/** The report in one line: `4 upstream calls · 5.5 ms · plan cached`. */
import { formatMicros, plural } from './format';
import type { Report, Trace } from './report';
import { toneOf } from './waterfall';

export function summarize(report: Report): string {
  if (report.trace) return traceParts(report.trace).join(' · ');
  return plural(report.plan?.steps.length ?? 0, 'planned step');
}

function traceParts(trace: Trace): string[] {
  const failed = trace.calls.filter((call) => toneOf(call) === 'failed').length;
  return [
    trace.calls.length === 0 ? 'no upstream call' : plural(trace.calls.length, 'upstream call'),
    failed > 0 ? `${failed} failed` : null,
    trace.totalMicros === null ? null : formatMicros(trace.totalMicros),
    planPart(trace),
  ].filter((part) => part !== null);
}

function planPart(trace: Trace): string | null {
  if (trace.planCached) return 'plan cached';
  if (trace.planMicros === null) return null;
  return `planned in ${formatMicros(trace.planMicros)}`;
}
