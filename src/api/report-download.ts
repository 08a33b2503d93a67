import { createHash } from 'node:crypto';
import type { EvaluationFact } from '../catalog/evaluations.js';
import type { Download } from '../merge/models.js';

/** The stored report is an object and ends so (merge/run.ts): what is said later is put before this. */
const END = '}\n';

/**
 * report.json with the `evaluations` of its merge, which came after it: still sent piece by piece, with a size and a tag
 * that are known before, so that ranges hold.
 */
export function withEvaluations(report: Download, evaluations: readonly EvaluationFact[]): Download {
  const tail = Buffer.from(`,"evaluations":${JSON.stringify(evaluations)}${END}`);
  const kept = report.bytes - END.length;
  return {
    name: report.name,
    bytes: kept + tail.byteLength,
    etag: createHash('sha256').update(report.etag).update(tail).digest('hex'),
    async *read(start, end, consumed) {
      if (start < Math.min(end, kept)) yield* report.read(start, Math.min(end, kept), consumed);
      if (end > kept) yield tail.subarray(Math.max(0, start - kept), end - kept);
    },
  };
}
