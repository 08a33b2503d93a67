import { z } from 'zod';
import { EmrError } from '../errors.js';

/** No tensor name needs a longer pattern. */
export const MAX_PATTERN = 256;

/** Braces within braces; each is one call deeper. */
const MAX_DEPTH = 8;

/**
 * Patterns tried and characters looked at by one matcher: a second or two. Real patterns on 200,000 tensors are below, for
 * most end at their first character; many stars on many long names would take hours.
 */
export const MAX_GLOB_STEPS = 20_000_000;

/** A part of a pattern: one character out of some, any number of any characters, or one of several sequences. */
type Part =
  | { readonly kind: 'one'; readonly matches: (character: string) => boolean; readonly literal?: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'group'; readonly alternatives: readonly (readonly Part[])[] };

/**
 * A glob on tensor names, as in `classifier.*` or `layers.{0,1}.*.bias`: `*` is any characters, dots and slashes too,
 * `?` one character, `[a-f]` and `[!a-f]` one of some, `{x,y}` either; `\` takes the next character as it is.
 */
export const globPattern = z
  .string()
  .min(1)
  .max(MAX_PATTERN)
  .refine(
    (text) => parse(text) !== undefined,
    `braces and brackets must be closed, and braces lie at most ${MAX_DEPTH} deep`,
  );

/** True for names that match any of the patterns. */
export function globMatcher(patterns: readonly string[]): (name: string) => boolean {
  const find = firstMatch(patterns);
  return (name) => find(name) >= 0;
}

/**
 * The index of the first pattern that matches a name, −1 if none does. To be made once for all names: patterns without
 * wildcards are then looked up, and the others tried in their order. `invalid_request` beyond MAX_GLOB_STEPS.
 */
export function firstMatch(patterns: readonly string[]): (name: string) => number {
  const exact = new Map<string, number>();
  const wild: { readonly index: number; readonly prefix: string; readonly parts: readonly Part[] }[] = [];
  for (const [index, pattern] of patterns.entries()) {
    const parts = parse(pattern) ?? [];
    const prefix = literalPrefix(parts);
    if (prefix.length < parts.length) wild.push({ index, prefix: prefix.join(''), parts });
    else if (!exact.has(prefix.join(''))) exact.set(prefix.join(''), index);
  }
  let left = MAX_GLOB_STEPS;
  const spend = (steps: number) => {
    left -= steps;
    if (left < 0) throw tooMuchWork();
  };
  return (name) => {
    const found = exact.get(name) ?? Infinity;
    let characters: readonly string[] | undefined;
    for (const { index, prefix, parts } of wild) {
      if (index > found) break;
      spend(1);
      if (!name.startsWith(prefix)) continue;
      characters ??= [...name];
      if (walk(parts, characters, new Set([0]), spend).has(characters.length)) return index;
    }
    return found === Infinity ? -1 : found;
  };
}

function tooMuchWork(): EmrError {
  return new EmrError(
    'invalid_request',
    'To match these patterns with the names of all tensors takes too long: use fewer of them, or fewer stars.',
    { limit: MAX_GLOB_STEPS },
  );
}

/** The characters before the first wildcard. */
function literalPrefix(parts: readonly Part[]): string[] {
  const end = parts.findIndex((part) => part.kind !== 'one' || part.literal === undefined);
  return parts.slice(0, end < 0 ? parts.length : end).map((part) => (part.kind === 'one' ? part.literal! : ''));
}

type Spend = (steps: number) => void;

/**
 * Where in the name a match of `parts` can end that began at one of `starts`. All ways are followed at once, so that the
 * time is at most that of pattern × name × name: a regular expression would try them one by one, for hours with
 * `*a*a*a*a*a*a*b`.
 */
function walk(
  parts: readonly Part[],
  name: readonly string[],
  starts: ReadonlySet<number>,
  spend: Spend,
): ReadonlySet<number> {
  let at = starts;
  for (const part of parts) {
    if (at.size === 0) return at;
    at = step(part, name, at, spend);
  }
  return at;
}

function step(part: Part, name: readonly string[], at: ReadonlySet<number>, spend: Spend): ReadonlySet<number> {
  spend(part.kind === 'any' ? name.length : at.size);
  switch (part.kind) {
    case 'one':
      return new Set([...at].filter((i) => i < name.length && part.matches(name[i]!)).map((i) => i + 1));
    case 'any': {
      const first = Math.min(...at);
      return new Set(Array.from({ length: name.length - first + 1 }, (_, i) => first + i));
    }
    case 'group':
      return new Set(part.alternatives.flatMap((parts) => [...walk(parts, name, at, spend)]));
  }
}

/** The parts of a pattern; undefined if a brace or bracket is not closed, or braces are too deep. */
function parse(pattern: string): readonly Part[] | undefined {
  const text = [...pattern];
  let i = 0;
  let isValid = true;

  const literal = (character: string): Part => ({
    kind: 'one',
    literal: character,
    matches: (other) => other === character,
  });

  const sequence = (depth: number): Part[] => {
    const parts: Part[] = [];
    while (isValid && i < text.length && !(depth > 0 && (text[i] === ',' || text[i] === '}'))) {
      const character = text[i++]!;
      if (character === '*') parts.push({ kind: 'any' });
      else if (character === '?') parts.push({ kind: 'one', matches: () => true });
      else if (character === '[') parts.push(set());
      else if (character === '{') parts.push(group(depth + 1));
      else parts.push(literal(character === '\\' && i < text.length ? text[i++]! : character));
    }
    return parts;
  };

  /** After `{`. */
  const group = (depth: number): Part => {
    isValid &&= depth <= MAX_DEPTH;
    const alternatives = [sequence(depth)];
    while (isValid && text[i] === ',') {
      i++;
      alternatives.push(sequence(depth));
    }
    isValid &&= text[i++] === '}';
    return { kind: 'group', alternatives };
  };

  /** After `[`; a `]` that comes first is a member. */
  const set = (): Part => {
    const isNegated = text[i] === '!' || text[i] === '^';
    const begin = isNegated ? i + 1 : i;
    const end = text.indexOf(']', begin + 1);
    isValid &&= end > 0;
    const ranges: (readonly [string, string])[] = [];
    for (let k = begin; k < end; k++) {
      const isRange = text[k + 1] === '-' && k + 2 < end;
      ranges.push([text[k]!, text[isRange ? k + 2 : k]!]);
      if (isRange) k += 2;
    }
    i = end + 1;
    return { kind: 'one', matches: (one) => ranges.some(([from, to]) => from <= one && one <= to) !== isNegated };
  };

  const parts = sequence(0);
  return isValid ? parts : undefined;
}
