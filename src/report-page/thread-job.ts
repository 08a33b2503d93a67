import type { EvaluationFact } from '../catalog/evaluations.js';
import type { MergeFacts, PageInput, ReportData } from './types.js';

/** A page to be drawn, as it crosses to the thread: the report stays text, since only the thread has to read it. */
export interface PageJob {
  readonly merge: MergeFacts;
  readonly report: Uint8Array;
  readonly evaluations: readonly EvaluationFact[];
}

export function readJob({ merge, report, evaluations }: PageJob): PageInput {
  return { merge, report: JSON.parse(Buffer.from(report).toString('utf8')) as ReportData, evaluations };
}
