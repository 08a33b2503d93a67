/** Tensors that share a row: a layer, or a run of layers. */
export interface TensorGroup {
  readonly label: string;
  readonly tensors: readonly string[];
}

/** Layer 2 comes before layer 10. A fixed language, so that the same report gives the same page everywhere. */
const order = new Intl.Collator('en', { numeric: true }).compare;

export const inOrder = (names: readonly string[]) => [...names].sort(order);

/** A coarser grouping must leave at least this share of the rows that may be shown, or it hides what it should show. */
const ENOUGH = 1 / 2;

/**
 * At most `limit` groups of neighbours: each tensor by itself if there are few enough, else by ever shorter prefixes of
 * their names; where one step of these would leave too few, neighbouring groups are put together evenly.
 */
export function groupTensors(names: readonly string[], limit: number): TensorGroup[] {
  const sorted = inOrder(names);
  let groups: TensorGroup[] = sorted.map((name) => ({ label: name, tensors: [name] }));
  for (let parts = depth(sorted); groups.length > limit && parts >= 1; parts--) {
    const coarser = byPrefix(sorted, parts);
    if (coarser.length < limit * ENOUGH) break;
    groups = coarser;
  }
  return groups.length > limit ? evenRuns(groups, limit) : groups;
}

/** `model.layers.0.weight` as in PyTorch, `dense_1/kernel` as in TensorFlow. */
const SEPARATOR = /[./]/;
const depth = (names: readonly string[]) =>
  names.reduce((most, name) => Math.max(most, name.split(SEPARATOR).length), 1) - 1;

function byPrefix(sorted: readonly string[], parts: number): TensorGroup[] {
  const groups = new Map<string, string[]>();
  for (const name of sorted) {
    const prefix = name.split(SEPARATOR).slice(0, parts).join('.');
    const group = groups.get(prefix);
    if (group) group.push(name);
    else groups.set(prefix, [name]);
  }
  return [...groups].map(([prefix, tensors]) =>
    tensors.length === 1 ? { label: tensors[0]!, tensors } : { label: `${prefix}.*`, tensors },
  );
}

function evenRuns(groups: readonly TensorGroup[], limit: number): TensorGroup[] {
  return Array.from({ length: limit }, (_, i) => {
    const from = Math.floor((i * groups.length) / limit);
    const run = groups.slice(from, Math.floor(((i + 1) * groups.length) / limit));
    if (run.length === 1) return run[0]!;
    return { label: runLabel(run[0]!.label, run.at(-1)!.label), tensors: run.flatMap(({ tensors }) => tensors) };
  });
}

/** `layers.0.* – 1.*`: what both begin with is said once. */
function runLabel(first: string, last: string): string {
  let same = 0;
  while (same < first.length && first[same] === last[same]) same += 1;
  const from = same === 0 ? 0 : Math.max(first.lastIndexOf('.', same - 1), first.lastIndexOf('/', same - 1)) + 1;
  return `${first} – ${last.slice(from)}`;
}
