/**
 * The plan as a tree for reading. A plan is a graph: a step may need the answers of several others.
 * Each step is shown once, under the need that is ready last; its other needs are named beside it.
 */
import type { PlanStep } from './report';

export interface PlanNode {
  step: PlanStep;
  /** Needs other than the step that this one is nested under. */
  alsoNeeds: number[];
  children: PlanNode[];
}

/** Every step exactly once, in the plan's order, also when the needs are unknown or go in a circle. */
export function planTree(steps: PlanStep[]): PlanNode[] {
  const depths = depthsOf(steps);
  const nodes = new Map<number, PlanNode>();
  const roots: PlanNode[] = [];
  for (const step of inDepthOrder(steps, depths)) {
    const parent = parentOf(step, depths);
    const alsoNeeds = step.dependsOn.filter((id) => id !== parent);
    const node: PlanNode = { step, alsoNeeds, children: [] };
    const siblings = (parent === null ? undefined : nodes.get(parent)?.children) ?? roots;
    siblings.push(node);
    if (!nodes.has(step.id)) nodes.set(step.id, node);
  }
  return roots;
}

function inDepthOrder(steps: PlanStep[], depths: Map<number, number>): PlanStep[] {
  return [...steps].sort((a, b) => depthIn(depths, a.id) - depthIn(depths, b.id));
}

/** The deepest need; the first of several. A step in a circle has none that is less deep. */
function parentOf(step: PlanStep, depths: Map<number, number>): number | null {
  const own = depthIn(depths, step.id);
  let parent: number | null = null;
  for (const id of step.dependsOn) {
    if (depthIn(depths, id) >= own || !depths.has(id)) continue;
    if (parent === null || depthIn(depths, id) > depthIn(depths, parent)) parent = id;
  }
  return parent;
}

/**
 * The longest way from a root to each step. Settled in rounds, as many as there are steps at most,
 * which also ends the rounds of a circle.
 */
function depthsOf(steps: PlanStep[]): Map<number, number> {
  const depths = new Map(steps.map((step) => [step.id, 0]));
  for (let round = 0, moved = true; moved && round < steps.length; round++) {
    moved = false;
    for (const step of steps) {
      const known = step.dependsOn.filter((id) => depths.has(id) && id !== step.id);
      const depth = Math.max(0, ...known.map((id) => depthIn(depths, id) + 1));
      if (depth > depthIn(depths, step.id)) {
        depths.set(step.id, depth);
        moved = true;
      }
    }
  }
  return depths;
}

function depthIn(depths: Map<number, number>, id: number): number {
  return depths.get(id) ?? 0;
}
