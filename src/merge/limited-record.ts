import { z } from 'zod';
import { MAX_TASKS } from './max-tasks.js';

/**
 * A record whose entries are counted before the first is looked at: a body in JSON has room for hundreds of thousands,
 * and to say of each what is wrong with it takes seconds.
 */
export function limitedRecord<K extends z.ZodType<string, string>, V extends z.ZodType>(max: number, key: K, value: V) {
  const record = z.record(key, value);
  const { $schema, ...schema } = z.toJSONSchema(record, { io: 'input' });
  return z
    .unknown()
    .refine((given) => !(given instanceof Object) || Object.keys(given).length <= max, `more than ${max} entries`)
    .pipe(record)
    .meta({ ...schema, maxProperties: max }); // of the two, the docs would show the first, which takes anything
}

/** A value for each task, by its name. */
export const byTask = <V extends z.ZodType>(value: V) => limitedRecord(MAX_TASKS.ceiling, z.string(), value);
