import picomatch from 'picomatch';
import { z } from 'zod';

/** No tensor name needs a longer pattern, and a short one cannot make a slow regular expression. */
const MAX_PATTERN = 256;

/** A glob on tensor names, as in `classifier.*` or `layers.{0,1}.*.bias`; `*` matches any characters, dots too. */
export const globPattern = z.string().min(1).max(MAX_PATTERN);

/** True for names that match any of the patterns. */
export function globMatcher(patterns: readonly string[]): (name: string) => boolean {
  // Tensor names are no paths: `*` crosses `/`, a leading dot is nothing special, and extglobs (which could make the
  // regular expression backtrack) are off.
  const options = { bash: true, dot: true, noextglob: true, nonegate: true };
  const matchers = patterns.map((pattern) => picomatch(pattern, options));
  return (name) => matchers.some((matches) => matches(name));
}
