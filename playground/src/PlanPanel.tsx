/** The plan: a tree of steps, or the text that the gateway prints. */
import { useMemo, useState } from 'react';
import { formatMicros, plural } from './format';
import { planTree, type PlanNode } from './planTree';
import type { Plan, PlanStep, Trace } from './report';

export interface Pointing {
  /** The step under the pointer, in the tree or in the waterfall. */
  pointedStep: number | null;
  pointAt: (step: number | null) => void;
}

interface PlanPanelProps extends Pointing {
  plan: Plan;
  trace: Trace | null;
}

export function PlanPanel({ plan, trace, ...pointing }: PlanPanelProps) {
  const [wantsText, setWantsText] = useState(false);
  const hasBoth = plan.text !== null && plan.steps.length > 0;
  const showsText = plan.steps.length === 0 || (wantsText && plan.text !== null);
  return (
    <section className="inspector-panel" aria-label="Plan">
      <header>
        <h2>Plan</h2>
        {plan.steps.length > 0 && <span className="quiet">{plural(plan.steps.length, 'step')}</span>}
        {hasBoth && <ViewSwitch wantsText={wantsText} onChange={setWantsText} />}
      </header>
      {showsText ? (
        <pre className="plan-text">{plan.text}</pre>
      ) : (
        <PlanTree steps={plan.steps} trace={trace} {...pointing} />
      )}
    </section>
  );
}

function ViewSwitch(props: { wantsText: boolean; onChange: (wantsText: boolean) => void }) {
  const { wantsText, onChange } = props;
  return (
    <div className="view-switch" role="group" aria-label="Show the plan as">
      <button type="button" aria-pressed={!wantsText} onClick={() => onChange(false)}>
        Tree
      </button>
      <button type="button" aria-pressed={wantsText} onClick={() => onChange(true)}>
        Text
      </button>
    </div>
  );
}

interface PlanTreeProps extends Pointing {
  steps: PlanStep[];
  trace: Trace | null;
}

function PlanTree({ steps, trace, ...pointing }: PlanTreeProps) {
  const roots = useMemo(() => planTree(steps), [steps]);
  const times = useMemo(() => timeByStep(trace), [trace]);
  return <Branch nodes={roots} times={times} {...pointing} />;
}

interface BranchProps extends Pointing {
  nodes: PlanNode[];
  times: Map<number, number>;
}

function Branch({ nodes, ...shared }: BranchProps) {
  return (
    <ul className="plan-branch">
      {nodes.map((node) => (
        <li key={node.step.id}>
          <Step node={node} {...shared} />
          {node.children.length > 0 && <Branch nodes={node.children} {...shared} />}
        </li>
      ))}
    </ul>
  );
}

interface StepProps extends Pointing {
  node: PlanNode;
  times: Map<number, number>;
}

function Step({ node, times, pointedStep, pointAt }: StepProps) {
  const { step, alsoNeeds } = node;
  const micros = times.get(step.id);
  return (
    <div
      className={`plan-step ${pointedStep === step.id ? 'pointed' : ''}`}
      data-step={step.id}
      onMouseEnter={() => pointAt(step.id)}
      onMouseLeave={() => pointAt(null)}
    >
      <div className="plan-step-title">
        <span className="quiet">#{step.id}</span>
        <span className={`kind kind-${step.kind.toLowerCase()}`}>{step.kind || '?'}</span>
        <strong>{step.source}</strong>
        <span className="quiet">{step.field}</span>
        {step.batch && (
          <span className="chip" title="One call for all parents of this step">
            batch
          </span>
        )}
        {micros !== undefined && <span className="time">{formatMicros(micros)}</span>}
      </div>
      {step.call && <code className="plan-step-call">{step.call}</code>}
      {step.selects && <code className="plan-step-selects">{`{ ${step.selects} }`}</code>}
      {alsoNeeds.length > 0 && (
        <span className="plan-step-needs quiet">also needs {alsoNeeds.map((id) => `#${id}`).join(', ')}</span>
      )}
    </div>
  );
}

/** From a step's first call to the end of its last. A step cut into several calls runs them at once. */
function timeByStep(trace: Trace | null): Map<number, number> {
  const spans = new Map<number, { start: number; end: number }>();
  for (const { step, startMicros, endMicros } of trace?.calls ?? []) {
    if (step === null) continue;
    const span = spans.get(step) ?? { start: startMicros, end: endMicros };
    spans.set(step, { start: Math.min(span.start, startMicros), end: Math.max(span.end, endMicros) });
  }
  return new Map([...spans].map(([step, span]) => [step, span.end - span.start]));
}
