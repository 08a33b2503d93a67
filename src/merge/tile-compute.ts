import { EmrError } from '../errors.js';
import { createRule } from '../kernels/rules/rule.js';
import type { MergeWorkspace, Rule, TileFault } from '../kernels/types.js';
import type { Surveyor } from './survey-tile.js';
import { isSurvey } from './thread-program.js';
import { faultError } from './tile-faults.js';
import type { TileItem, TileTensor } from './tile-job.js';
import { type ReadInput, selectThresholds, solveTensor } from './whole-tensor.js';

/** An item's results, valid until the next are computed. */
export interface Computed {
  readonly output?: Uint8Array;
  readonly mask?: (task: number) => Uint8Array;
  /** Rows of sums; or the figures of a survey. */
  readonly sums: ArrayLike<number>;
}

export interface ComputeOptions {
  readonly workspace: MergeWorkspace;
  readonly tasks: number;
  readonly surveyor: Surveyor;
  /** Reads the inputs of an item into the workspace. */
  readonly fill: (tensor: TileTensor, item: TileItem) => Promise<void>;
  readonly read: ReadInput;
}

/**
 * A way to compute the items of one tensor, one after the other: what must be known of the whole tensor is found out
 * first. Rejects with the fault of lowest index of the item.
 */
export async function createCompute(
  { workspace, tasks, surveyor, fill, read }: ComputeOptions,
  tensor: TileTensor,
  items: readonly TileItem[],
): Promise<(item: TileItem) => Promise<Computed>> {
  const { program, output } = tensor;
  const [base, ...others] = tensor.inputs.map((input) => input.dtype);
  const dtypes = { base: base!, tasks: others.slice(0, tasks), statistics: others.slice(tasks) };
  const load = async (item: TileItem) => {
    await fill(tensor, item);
    return workspace.upcast({ n: item.n, ...dtypes });
  };
  const merge = (operation: (item: TileItem) => TileFault | undefined) => async (item: TileItem) => {
    await fill(tensor, item);
    require(operation(item), tensor, item);
    const { n } = item;
    return { output: workspace.output(n, output), mask: (t: number) => workspace.mask(t, n), sums: workspace.sums(n) };
  };
  const apply = (ruleOf: (item: TileItem) => Rule) =>
    merge((item) => workspace.rule({ n: item.n, ...dtypes, output, rule: ruleOf(item) }));

  if (program.kind === 'select') {
    const sums = await selectThresholds(program, tensor, tasks, items, load);
    return async () => ({ sums });
  }
  if (isSurvey(program)) {
    return async (item) => {
      const { figures, fault } = surveyor.survey(program, await load(item), item.n, item.start);
      require(fault, tensor, item);
      return { sums: figures };
    };
  }
  switch (program.kind) {
    case 'emr':
      if (output === 'F64') throw new EmrError('internal', 'A unified vector is never F64.');
      return merge(({ n }) => workspace.emr({ n, ...dtypes, zeroSign: program.zeroSign, output }));
    case 'linear': {
      const { of, divisor } = program;
      const coefficients = Float32Array.from(program.coefficients);
      return merge(({ n }) => workspace.linear({ n, ...dtypes, of, coefficients, divisor, output }));
    }
    case 'rule':
      return apply(({ start }) => createRule(program.rule, tasks, start));
    case 'solve': {
      const solved = await solveTensor(program, tensor, read);
      return apply(
        ({ start, n }) =>
          (_values, _n, merged) =>
            merged.set(solved.subarray(start, start + n)),
      );
    }
  }
}

function require(fault: TileFault | undefined, tensor: TileTensor, item: TileItem): void {
  if (fault) throw faultError(fault, tensor.name, item.start);
}
