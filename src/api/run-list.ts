import type { RunFact } from '../catalog/runs.js';
import { EmrError } from '../errors.js';

/** Newest first; the cursor names the last one of the page before, so that new ones do not shift pages. */
export async function listNewest<Fact extends RunFact, View>(
  all: AsyncIterable<Fact>,
  view: (fact: Fact) => Promise<View>,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ items: View[]; next_cursor?: string }> {
  const position = cursor === undefined ? undefined : decodeCursor(cursor);
  const facts: Fact[] = [];
  for await (const fact of all) facts.push(fact);
  const rest = facts.filter((fact) => position === undefined || order(fact) < position).sort(newestFirst);
  const items = await Promise.all(rest.slice(0, limit).map(view));
  return { items, ...(rest.length > limit ? { next_cursor: encodeCursor(rest[limit - 1]!) } : {}) };
}

const order = ({ created_at, id }: RunFact) => `${created_at} ${id}`;
const newestFirst = (a: RunFact, b: RunFact) => (order(a) < order(b) ? 1 : -1);
const encodeCursor = (fact: RunFact) => Buffer.from(order(fact)).toString('base64url');

function decodeCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (/^\S{20,30} [0-9a-f]{32}$/.test(text)) return text;
  throw new EmrError('invalid_request', 'The cursor is not one of this list.', { cursor });
}
