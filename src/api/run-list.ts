import type { RunFact } from '../catalog/runs.js';

/** Sorted so often that few are held of thousands, and so seldom that it takes no time. */
const HELD_PAGES = 8;

/** Newest first; the cursor names the last one of the page before, so that new ones do not shift pages. */
export async function listNewest<Fact extends RunFact, View>(
  all: AsyncIterable<Fact>,
  view: (fact: Fact) => Promise<View>,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ items: View[]; next_cursor?: string }> {
  let newest: Fact[] = [];
  const keepNewest = () => {
    newest = newest.sort(newestFirst).slice(0, limit + 1); // one more: whether there is another page
  };
  for await (const fact of all) {
    if (cursor !== undefined && order(fact) >= cursor) continue;
    newest.push(fact);
    if (newest.length > HELD_PAGES * (limit + 1)) keepNewest();
  }
  keepNewest();
  const page = newest.slice(0, limit);
  const items = await Promise.all(page.map(view));
  return { items, ...(newest.length > limit ? { next_cursor: order(page.at(-1)!) } : {}) };
}

/** As `runCursor` has it. */
const order = ({ created_at, id }: RunFact) => `${created_at}_${id}`;
const newestFirst = (a: RunFact, b: RunFact) => (order(a) < order(b) ? 1 : -1);
