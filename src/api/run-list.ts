import type { RunFact } from '../catalog/runs.js';

/** Newest first; the cursor names the last one of the page before, so that new ones do not shift pages. */
export async function listNewest<Fact extends RunFact, View>(
  all: AsyncIterable<Fact>,
  view: (fact: Fact) => Promise<View>,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ items: View[]; next_cursor?: string }> {
  const facts: Fact[] = [];
  for await (const fact of all) facts.push(fact);
  const rest = facts.filter((fact) => cursor === undefined || order(fact) < cursor).sort(newestFirst);
  const items = await Promise.all(rest.slice(0, limit).map(view));
  return { items, ...(rest.length > limit ? { next_cursor: order(rest[limit - 1]!) } : {}) };
}

/** As `runCursor` has it. */
const order = ({ created_at, id }: RunFact) => `${created_at}_${id}`;
const newestFirst = (a: RunFact, b: RunFact) => (order(a) < order(b) ? 1 : -1);
