import { loadEngine } from '../kernels/engine.js';
import type { EngineName, MergeLayout, MergeWorkspace } from '../kernels/types.js';

export interface WorkspaceShelf {
  take(engine: EngineName, count: number, layout: MergeLayout): Promise<readonly MergeWorkspace[]>;
}

/** Keeps the last workspaces of a thread, since merges of one batch ask for the same: their memory is not new each time. */
export function createWorkspaceShelf(): WorkspaceShelf {
  let key = '';
  let workspaces: readonly MergeWorkspace[] = [];
  return {
    async take(name, count, layout) {
      const wanted = JSON.stringify([name, count, layout]);
      if (wanted !== key) {
        workspaces = []; // the old ones may go before there are others
        const engine = await loadEngine(name);
        workspaces = Array.from({ length: count }, () => engine.createMerge(layout));
        key = wanted;
      }
      return workspaces;
    },
  };
}
