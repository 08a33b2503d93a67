import type { RequestFact } from '../catalog/merge-facts.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { EmrError } from '../errors.js';
import type { MergeQueue } from '../queue/types.js';
import { viewMerge } from './merge-view.js';
import type { MergeView } from './schemas/merge.js';

/** Newest first; the cursor names the last merge of the page before, so that new merges do not shift pages. */
export async function listMerges(
  services: { merges: MergeCatalog; queue: MergeQueue },
  namespace: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ items: MergeView[]; next_cursor?: string }> {
  const position = cursor === undefined ? undefined : decodeCursor(cursor);
  const facts: RequestFact[] = [];
  for await (const fact of services.merges.all(namespace)) facts.push(fact);
  const rest = facts.filter((fact) => position === undefined || order(fact) < position).sort(newestFirst);
  const items = await Promise.all(rest.slice(0, limit).map((fact) => viewMerge(services, namespace, fact)));
  return { items, ...(rest.length > limit ? { next_cursor: encodeCursor(rest[limit - 1]!) } : {}) };
}

const order = ({ created_at, id }: { created_at: string; id: string }) => `${created_at} ${id}`;
const newestFirst = (a: RequestFact, b: RequestFact) => (order(a) < order(b) ? 1 : -1);
const encodeCursor = (fact: RequestFact) => Buffer.from(order(fact)).toString('base64url');

function decodeCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (/^\S{20,30} [0-9a-f]{32}$/.test(text)) return text;
  throw new EmrError('invalid_request', 'The cursor is not one of this list.', { cursor });
}
