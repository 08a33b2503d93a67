import { count } from './format.js';
import { evaluationSection } from './sections/evaluations.js';
import { layerSection } from './sections/layers.js';
import { stepByStep, storage, tiles } from './sections/overview.js';
import { taskSection } from './sections/tasks.js';
import { tensorSection } from './sections/tensors.js';
import type { PageInput, PageModel } from './types.js';

/** Everything that the page says, before it has a look. */
export function pageModel(input: PageInput): PageModel {
  const { merge, report } = input;
  const { type, ...parameters } = report.method;
  const tasks = Object.keys(report.tasks).length;
  return {
    title: merge.name ?? merge.id,
    facts: [
      ['Merge', merge.id],
      ['Method', [type, ...Object.entries(parameters).map(parameter)].join(', ')],
      ['Base', report.base],
      ['Tasks', count(tasks)],
      ['Elements merged', count(report.parameters)],
      ['Finished', `${merge.finished_at.slice(0, 19).replace('T', ' ')} UTC, after ${merge.seconds.toFixed(1)} s`],
    ],
    tiles: tiles(input),
    warnings: report.warnings,
    sections: [
      ...stepByStep(input),
      ...evaluationSection(input),
      taskSection(input),
      layerSection(input),
      storage(input),
      tensorSection(input),
    ],
  };
}

const MAX_PARAMETER = 200;

function parameter([name, value]: [string, unknown]): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `${name} ${text.length > MAX_PARAMETER ? `${text.slice(0, MAX_PARAMETER)}…` : text}`;
}
