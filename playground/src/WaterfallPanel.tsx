/** The upstream calls on a common time line, in the order in which they began. */
import { useMemo } from 'react';
import { formatBytes, formatMicros, plural } from './format';
import type { Pointing } from './PlanPanel';
import type { Origin, Trace, UpstreamCall } from './report';
import { badgesOf, waterfall, type Bar, type Tick } from './waterfall';

interface WaterfallPanelProps extends Pointing {
  trace: Trace;
}

export function WaterfallPanel({ trace, ...pointing }: WaterfallPanelProps) {
  const chart = useMemo(() => waterfall(trace), [trace]);
  return (
    <section className="inspector-panel" aria-label="Upstream calls">
      <header>
        <h2>Upstream calls</h2>
        <span className="quiet">{phases(trace)}</span>
      </header>
      {chart.bars.length === 0 ? (
        <p className="quiet">Answered without asking any service.</p>
      ) : (
        <div className="waterfall">
          <TimeLine ticks={chart.ticks} />
          <ol>
            {chart.bars.map((bar, index) => (
              <Row key={index} bar={bar} ticks={chart.ticks} {...pointing} />
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}

function TimeLine({ ticks }: { ticks: Tick[] }) {
  return (
    <div className="time-line quiet" aria-hidden="true">
      {ticks.map((tick) => (
        <span key={tick.left} style={{ left: `${tick.left}%` }}>
          {tick.label}
        </span>
      ))}
    </div>
  );
}

interface RowProps extends Pointing {
  bar: Bar;
  ticks: Tick[];
}

function Row({ bar, ticks, pointedStep, pointAt }: RowProps) {
  const { call, tone } = bar;
  const pointed = call.step !== null && call.step === pointedStep;
  return (
    <li
      className={`call call-${tone} ${pointed ? 'pointed' : ''}`}
      title={hoverText(bar)}
      onMouseEnter={() => pointAt(call.step)}
      onMouseLeave={() => pointAt(null)}
    >
      <div className="call-title">
        {call.step !== null && <span className="quiet">#{call.step}</span>}
        <strong>{call.source}</strong>
        <code>{[call.method, call.target].filter(Boolean).join(' ')}</code>
        {badgesOf(call).map((badge) => (
          <span key={badge} className="call-badge">
            {badge}
          </span>
        ))}
        <span className="time">{formatMicros(bar.durationMicros)}</span>
      </div>
      <div className="call-track">
        {ticks.map((tick) => (
          <i key={tick.left} style={{ left: `${tick.left}%` }} />
        ))}
        <span
          className={`call-bar ${call.origin === 'service' ? '' : 'call-bar-unsent'}`}
          style={{ left: `${bar.left}%`, width: `${bar.width}%` }}
        />
      </div>
      <div className="call-details quiet">{details(call)}</div>
      {call.error !== null && tone !== 'superseded' && <div className="call-error">{call.error}</div>}
    </li>
  );
}

function details(call: UpstreamCall): string {
  return [
    call.status || null,
    call.keys === null ? null : plural(call.keys, 'key'),
    call.bytes === null ? null : formatBytes(call.bytes),
    ORIGINS[call.origin],
  ]
    .filter((part) => part !== null)
    .join(' · ');
}

const ORIGINS: Record<Origin, string | null> = {
  service: null,
  merged: 'shared with another operation',
  cache: 'a reply that was kept',
  stale: 'the last good reply, since the service failed',
};

function hoverText({ call, durationMicros }: Bar): string {
  const { method, target, startMicros, endMicros } = call;
  const times = `${formatMicros(startMicros)} to ${formatMicros(endMicros)} (${formatMicros(durationMicros)})`;
  const badges = badgesOf(call).join(', ');
  return [`${call.source} ${method} ${target}`, times, details(call), badges, call.error].filter(Boolean).join('\n');
}

function phases({ planMicros, executeMicros }: Trace): string {
  return [
    planMicros === null ? null : `plan ${formatMicros(planMicros)}`,
    executeMicros === null ? null : `execute ${formatMicros(executeMicros)}`,
  ]
    .filter((part) => part !== null)
    .join(' · ');
}
