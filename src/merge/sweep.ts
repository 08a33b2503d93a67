import { z } from 'zod';
import { EmrError } from '../errors.js';
import { explained, type Issue } from '../issues.js';
import { METHOD_TYPES, methodParams } from './registry.js';
import { type MergeRequest, mergeRequest } from './request.js';

/** Of one batch, listed or made by a grid; more are more batches. */
export const MAX_MERGES = 1_000;
/** Entries of a grid; each may stand for many merges. */
const MAX_ENTRIES = 100;
/** Of all methods that a grid stands for, each written out: they are checked one by one, seconds for so many. */
const MAX_CHARACTERS = 2 ** 24;
/** Named in one refusal: whoever mends these finds the next. Up to a thousand merges may have the same large parameter. */
const MAX_ISSUES = 100;
const MAX_ISSUE_TEXT = 1_000;
/** Of objects and lists within an entry; parameters of methods, also of inner ones, have less than half of it. */
const MAX_DEPTH = 16;

const { method: _method, ...withoutMethod } = mergeRequest.shape;

/** A merge without its method; with one, that method is the first of the sweep. */
export const sweepTemplate = z.strictObject({ ...withoutMethod, method: methodParams.optional() });

export const sweepGrid = z.strictObject({
  methods: z
    .array(z.looseObject({ type: z.enum(METHOD_TYPES) }))
    .min(1)
    .max(MAX_ENTRIES)
    .describe(
      'Methods with their parameters. A list stands for its values, one merge for each; several lists, also within ' +
        '`inner`, for all their combinations, the last changing fastest. A value that is itself a list stands in a list of its own.',
    )
    .refine((methods) => isShallow(methods), `nested deeper than ${MAX_DEPTH}`)
    .refine((methods) => !isShallow(methods) || methods.every(isFilled), 'an empty list stands for no merge'),
});

export type SweepTemplate = z.output<typeof sweepTemplate>;
export type SweepGrid = z.output<typeof sweepGrid>;

/**
 * The merges of a sweep, always in the same order: the template's own method, then the grid's entries. A template's name
 * is numbered. `invalid_request` with the first merges whose parameters do not fit, or if there are more than MAX_MERGES.
 */
export function expandSweep(template: SweepTemplate, grid: SweepGrid): MergeRequest[] {
  const { method, ...shared } = template;
  const entries: unknown[] = method === undefined ? grid.methods : [method, ...grid.methods];
  const literal = method === undefined ? 0 : 1;
  const total = entries.reduce<number>((sum, entry, i) => sum + (i < literal ? 1 : countOf(entry)), 0);
  if (total > MAX_MERGES) {
    throw new EmrError('invalid_request', `The grid stands for ${total} merges; a batch may have ${MAX_MERGES}.`, {
      merges: total,
      limit: MAX_MERGES,
    });
  }
  const characters = entries.reduce<number>((sum, entry) => sum + countOf(entry) * longestOf(entry), 0);
  if (characters > MAX_CHARACTERS) {
    const detail = `The methods of the grid written out have ${characters} characters; the limit is ${MAX_CHARACTERS}.`;
    throw new EmrError('invalid_request', detail, { characters, limit: MAX_CHARACTERS });
  }
  const methods = entries.flatMap((entry, i) => (i < literal ? [entry] : expand(entry)));
  const issues: object[] = [];
  const requests = methods.flatMap((params, index) => {
    const name = shared.name === undefined ? {} : { name: `${shared.name}-${index + 1}` };
    const parsed = mergeRequest.safeParse({ ...shared, ...name, method: params });
    if (parsed.success) return [parsed.data];
    for (const { path, message } of explained(parsed.error.issues as Issue[])) {
      if (issues.length === MAX_ISSUES) break;
      issues.push({ index, ...shortMethod(params), path: path.join('.'), message: message.slice(0, MAX_ISSUE_TEXT) });
    }
    return [];
  });
  if (issues.length === 0) return requests;
  const { path, message } = issues[0] as { path: string; message: string };
  throw new EmrError('invalid_request', `A merge of the grid does not fit: ${path}: ${message}. See issues.`, {
    issues,
  });
}

/** Which method it is about, if it can be shown at a glance. */
function shortMethod(method: unknown): { method?: unknown } {
  return JSON.stringify(method).length <= MAX_ISSUE_TEXT ? { method } : {};
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Level by level, since a request may be nested deeper than a stack is. */
function isShallow(methods: readonly object[]): boolean {
  let level: object[] = [...methods];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === MAX_DEPTH) return false;
    level = level.flatMap((one) => Object.values(one).filter((value) => typeof value === 'object' && value !== null));
  }
  return true;
}

/** A product with 0 would also hide how many values the other lists stand for. */
function isFilled(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.filter(isFields).every(isFilled);
  return !isFields(value) || Object.values(value).every(isFilled);
}

/** How many values `expand` gives, without making them. */
function countOf(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + (isFields(one) ? countOf(one) : 1), 0);
  if (!isFields(value)) return 1;
  return Object.values(value).reduce<number>((product, one) => product * countOf(one), 1);
}

/** The length of the longest value that a grid's value stands for, in JSON. */
function longestOf(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((most, one) => Math.max(most, longestOf(one)), 0);
  if (!isFields(value)) return JSON.stringify(value).length;
  return Object.entries(value).reduce((sum, [key, one]) => sum + key.length + longestOf(one), 0);
}

/** Each value that a grid's value stands for. */
function expand(value: unknown): unknown[] {
  if (Array.isArray(value)) return value.flatMap((one) => (isFields(one) ? expand(one) : [one]));
  if (!isFields(value)) return [value];
  const fields = Object.entries(value).map(([key, one]) => ({ key, choices: expand(one) }));
  const total = fields.reduce((product, { choices }) => product * choices.length, 1);
  // By number, its lowest digit the last field's: to extend copies field by field takes time with the square of their count.
  return Array.from({ length: total }, (_, number) => {
    let rest = number;
    const chosen = fields.toReversed().map(({ key, choices }) => {
      const one = [key, choices[rest % choices.length]] as const;
      rest = Math.floor(rest / choices.length);
      return one;
    });
    return Object.fromEntries(chosen.reverse());
  });
}
