import { describe, expect, it } from 'vitest';
import { planTree, type PlanNode } from './planTree';
import type { PlanStep } from './report';

describe('planTree', () => {
  it('nests steps under what they depend on, in the order of the plan', () => {
    const tree = planTree([step(0), step(1, 0), step(2, 0), step(3, 2)]);
    expect(drawn(tree)).toEqual(['0', '  1', '  2', '    3']);
  });

  it('keeps independent roots apart', () => {
    expect(drawn(planTree([step(0), step(1), step(2, 1)]))).toEqual(['0', '1', '  2']);
  });

  it('nests under the need that is ready last and names the others', () => {
    const tree = planTree([step(0), step(1, 0), step(2, 0, 1)]);
    expect(drawn(tree)).toEqual(['0', '  1', '    2 (also 0)']);
  });

  it('does not need the steps to come after their needs', () => {
    expect(drawn(planTree([step(2, 1), step(1, 0), step(0)]))).toEqual(['0', '  1', '    2']);
  });

  it('shows a step whose need is not in the plan as a root that names it', () => {
    expect(drawn(planTree([step(0, 7)]))).toEqual(['0 (also 7)']);
  });

  it('shows each step of a circle once', () => {
    const lines = drawn(planTree([step(0, 1), step(1, 0), step(2, 2)]));
    expect(lines.map((line) => line.trim()[0]).sort()).toEqual(['0', '1', '2']);
  });

  it('is empty for an empty plan', () => {
    expect(planTree([])).toEqual([]);
  });
});

function step(id: number, ...dependsOn: number[]): PlanStep {
  return { id, kind: 'REST', source: 's', field: 'F', call: '', batch: false, dependsOn, selects: '' };
}

function drawn(nodes: PlanNode[], indent = ''): string[] {
  return nodes.flatMap(({ step, alsoNeeds, children }) => [
    `${indent}${step.id}${alsoNeeds.length > 0 ? ` (also ${alsoNeeds.join(', ')})` : ''}`,
    ...drawn(children, `${indent}  `),
  ]);
}
