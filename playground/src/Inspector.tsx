/** The panel beside the answer: a summary, the plan, and the upstream calls. */
import { useEditorContext, useExecutionContext } from '@graphiql/react';
import { useEffect, useState } from 'react';
import { PlanPanel } from './PlanPanel';
import type { Report } from './report';
import { summarize } from './summary';
import { useDivider } from './useDivider';
import { WaterfallPanel } from './WaterfallPanel';

/** Undefined: nothing ran in the tab yet. Null: the answer carried no report. */
export type ReportsByTab = Record<string, Report | null | undefined>;

interface InspectorProps {
  reports: ReportsByTab;
  onOpenTab: (id: string) => void;
}

export function Inspector({ reports, onOpenTab }: InspectorProps) {
  const { tabs, activeTabIndex } = useEditorContext({ nonNull: true });
  const { isFetching } = useExecutionContext({ nonNull: true });
  const openTab = tabs[activeTabIndex]?.id ?? '';
  useEffect(() => onOpenTab(openTab), [openTab, onOpenTab]);
  const divider = useDivider();
  const report = reports[openTab];
  // GraphiQL's class brings its theme's colours; `inspector` takes its layout back.
  return (
    <>
      <div className="graphiql-container inspector-divider" {...divider.handle} />
      <aside
        className={`graphiql-container inspector ${isFetching ? 'inspector-stale' : ''}`}
        aria-label="Plan and upstream calls"
        style={divider.style}
      >
        {report ? <ReportView report={report} /> : <Nothing asked={report === null} />}
      </aside>
    </>
  );
}

function ReportView({ report }: { report: Report }) {
  const [pointedStep, pointAt] = useState<number | null>(null);
  const { plan, trace } = report;
  return (
    <>
      <p className="inspector-summary" role="status">
        {summarize(report)}
      </p>
      <div className="inspector-panels">
        {plan && <PlanPanel plan={plan} trace={trace} pointedStep={pointedStep} pointAt={pointAt} />}
        {trace && <WaterfallPanel trace={trace} pointedStep={pointedStep} pointAt={pointAt} />}
      </div>
    </>
  );
}

function Nothing({ asked }: { asked: boolean }) {
  return (
    <div className="inspector-nothing">
      <h2>Plan and upstream calls</h2>
      {asked ? (
        <p>This answer came without a plan or timings.</p>
      ) : (
        <p>Run an operation to see how the gateway plans it and what it asks each service.</p>
      )}
    </div>
  );
}
