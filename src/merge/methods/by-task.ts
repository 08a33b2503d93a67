import { z } from 'zod';

/** Far beyond any use, and the sum of all tasks' stays far below f32's end. */
export const MAX_COEFFICIENT = 1e6;

export const coefficient = z.number().finite().min(-MAX_COEFFICIENT).max(MAX_COEFFICIENT);

/** Names in `given` that are no task of the merge, as sentences. */
export function strangers(parameter: string, given: object, tasks: readonly string[]): string[] {
  return Object.keys(given)
    .filter((name) => !tasks.includes(name))
    .map((name) => `${parameter} names ${name}, which is no task of this merge`);
}

/** The task's own value; a task may be named `constructor`, which every object has. */
export function ofTask<T>(given: Readonly<Record<string, T>>, task: string): T | undefined {
  return Object.hasOwn(given, task) ? given[task] : undefined;
}
