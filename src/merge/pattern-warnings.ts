import type { ClassifiedTensor } from './classify.js';
import { firstMatch } from './globs.js';
import type { MergeRequest } from './request.js';

/** Of each pattern that changes nothing, most often by a slip of the pen: what it should have kept out is merged. */
export function patternWarnings(request: MergeRequest, tensors: readonly ClassifiedTensor[]): string[] {
  const names = tensors.map(({ name }) => name);
  const merged = tensors.filter((tensor) => tensor.class === 'merged').map(({ name }) => name);
  return [
    ...unused('include', request.include ?? [], names),
    ...unused('exclude', request.exclude ?? [], names),
    ...unused('layers', layerPatterns(request.method), merged),
  ];
}

function layerPatterns(method: MergeRequest['method']): readonly string[] {
  const inner = method.type === 'dare' ? method.inner : method;
  return 'layers' in inner ? (inner.layers ?? []).map(({ pattern }) => pattern) : [];
}

function unused(list: string, patterns: readonly string[], names: readonly string[]): string[] {
  const used = new Set(names.map(firstMatch(patterns)));
  const what = list === 'layers' ? 'tensor that is merged' : 'tensor';
  return patterns
    .filter((_, index) => !used.has(index))
    .map((pattern) => `The pattern ${pattern} in ${list} matches no ${what}, or none that is not matched before it.`);
}
