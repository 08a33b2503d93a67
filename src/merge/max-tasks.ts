/**
 * The paper merges 30; each task costs read buffers, open files and a mask, so a few hundred are served by the same code.
 * Operators set how many (EMR_MAX_TASKS), up to the most that are tested.
 */
export const MAX_TASKS = { usual: 256, ceiling: 1024 } as const;
