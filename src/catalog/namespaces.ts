import { NAMESPACE_PATTERN } from '../names.js';
import type { Store } from '../store/types.js';

/** Every namespace that something was stored in: they are the first segments of the store's keys. */
export async function listNamespaces(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { prefixes } of store.list('', { delimiter: true })) {
    found.push(...prefixes.map((prefix) => prefix.slice(0, -1)).filter((name) => NAMESPACE_PATTERN.test(name)));
  }
  return found;
}
