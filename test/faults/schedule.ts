/** What happens in a trial: all of it follows from the seed. When threads and sockets meet it does not. */
import { randomNumbers } from '../helpers/random-checkpoint.js';
import { STORE_KINDS, type StoreKind } from './cluster.js';
import { type Fault, faultKinds, ruleOf } from './faults.js';
import { REQUESTS } from './workload.js';

export interface Schedule {
  readonly seed: number;
  readonly store: StoreKind;
  /** Indices of the merges that are asked for. */
  readonly requests: readonly number[];
  readonly faults: readonly Fault[];
}

const MAX_FAULTS = 3;
const MERGES = 3;
/** About as long as the merges of a trial run without a fault. */
const LATEST_MS = 1500;
const LONGEST_MS = 2000;

export function scheduleOf(seed: number): Schedule {
  const random = randomNumbers(seed);
  for (let skipped = 0; skipped < 8; skipped++) random(); // seeds that are neighbours begin alike
  const below = (n: number) => Math.floor(random() * n);
  const store = STORE_KINDS[below(STORE_KINDS.length)]!;
  const requests = new Set<number>([REQUESTS.length - 1]); // the longest
  while (requests.size < MERGES) requests.add(below(REQUESTS.length));
  const kinds = faultKinds(store);
  const faults: Fault[] = [];
  for (let wanted = 1 + below(MAX_FAULTS); wanted > 0; wanted--) {
    const kind = kinds[below(kinds.length)]!;
    const fault = { kind, at: below(LATEST_MS), ms: below(LONGEST_MS), draw: random() };
    if (faults.every((other) => ruleOf(other.kind).target !== ruleOf(kind).target)) faults.push(fault);
  }
  return { seed, store, requests: [...requests], faults };
}

export function describeFault({ kind, at, ms, draw }: Fault): string {
  return `${kind}@${at}+${ms}/${draw.toFixed(3)}`;
}
