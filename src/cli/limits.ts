/** Every limit that a client may meet, for docs/operations.md: its value as the code has it. The reason is beside each. */
import { constants } from 'node:buffer';
import { formParts, MAX_OPEN_ANSWERS, MAX_PARAM_LENGTH } from '../api/limits.js';
import { MAX_PAGE } from '../api/schemas/common.js';
import { MAX_FACT_BYTES } from '../catalog/facts.js';
import { FORMAT_LIMITS, type FormatLimit, MAX_JSON_DEPTH } from '../checkpoint/limits.js';
import { readConfig } from '../config.js';
import { ERRORS } from '../errors.js';
import { MAX_GLOB_STEPS, MAX_PATTERN } from '../merge/globs.js';
import { MAX_LISTED } from '../merge/listed.js';
import { MAX_TASKS } from '../merge/max-tasks.js';
import { MAX_PATTERNS } from '../merge/request.js';
import { MAX_MERGES } from '../merge/sweep.js';
import {
  MAX_BATCH,
  MAX_DATASET_BYTES,
  MAX_MODEL_BYTES,
  MAX_TOPOLOGY_BYTES,
  MAX_TOTAL_BYTES,
} from '../models/limits.js';

const bytes = (count: number) => {
  const [unit, name] = (
    [
      [2 ** 40, 'TiB'],
      [2 ** 30, 'GiB'],
      [2 ** 20, 'MiB'],
    ] as const
  ).find(([one]) => count % one === 0) ?? [1, 'bytes'];
  return `${(count / unit).toLocaleString('en')} ${name}`;
};
const count = (value: number) => value.toLocaleString('en');
const formatLimit = (name: FormatLimit, write = count) => {
  const { usual, variable, ceiling } = FORMAT_LIMITS[name];
  return `${write(usual)} (\`${variable}\`, up to ${count(ceiling)})`;
};

/** What is limited, how far, and what a client gets beyond. */
export function limits(): string[][] {
  const config = readConfig({});
  const { maxUploadBytes, maxJsonBytes, limits, atOnce, maxTasks, maxWaitingMerges, maxConnections } = config;
  return [
    ['one upload request', `${bytes(maxUploadBytes)} (\`EMR_MAX_UPLOAD_BYTES\`)`, 'too_large'],
    ['uploads at a time', `${count(atOnce.uploads)} (\`EMR_MAX_UPLOADS\`)`, 'overloaded'],
    ['models rebuilt at a time', `${count(atOnce.reconstructions)} (\`EMR_MAX_RECONSTRUCTIONS\`)`, 'overloaded'],
    ['readings of stored files at a time', `${count(atOnce.downloads)} (\`EMR_MAX_DOWNLOADS\`)`, 'overloaded'],
    ['merges that wait', `${count(maxWaitingMerges)} (\`EMR_MAX_WAITING_MERGES\`)`, 'overloaded'],
    ['connections', `${count(maxConnections)} (\`EMR_MAX_CONNECTIONS\`)`, 'closed'],
    ['requests of a connection without an answer', count(MAX_OPEN_ANSWERS), 'overloaded'],
    ['body in JSON', `${bytes(maxJsonBytes)} (\`EMR_MAX_JSON_BYTES\`)`, 'too_large'],
    ['parts of a form', count(formParts(limits.maxFiles)), 'too_large'],
    ['files of a checkpoint, shards among them', formatLimit('maxFiles'), 'too_large'],
    ['a name in an address', `${count(MAX_PARAM_LENGTH)} characters`, 'invalid_request'],
    ['a page of a list', count(MAX_PAGE), 'invalid_request'],
    ['header of a safetensors file', formatLimit('maxHeaderBytes', bytes), 'safetensors_header_too_large'],
    ['tensors of a file or an index', formatLimit('maxTensors'), 'safetensors_too_many_tensors'],
    ['name of a tensor', formatLimit('maxNameBytes', bytes), 'safetensors_name'],
    ['dimensions of a tensor', formatLimit('maxDimensions'), 'safetensors_shape'],
    ['shards that an index names', formatLimit('maxShards'), 'too_large'],
    ['index of shards', 'as a header', 'index_invalid'],
    ['nesting of an index', count(MAX_JSON_DEPTH), 'index_invalid'],
    ['record of a checkpoint', bytes(MAX_FACT_BYTES), 'too_large'],
    ['tasks of a merge', `${count(maxTasks)} (\`EMR_MAX_TASKS\`, up to ${count(MAX_TASKS.ceiling)})`, 'too_large'],
    [
      'tensor names times checkpoints of a merge',
      `${count(config.maxPlanCells)} (\`EMR_MAX_PLAN_CELLS\`)`,
      'too_large',
    ],
    ['the same, of all merges of a batch', `${count(config.maxBatchCells)} (\`EMR_MAX_BATCH_CELLS\`)`, 'too_large'],
    ['figures of a report', `${count(constants.MAX_STRING_LENGTH)} characters`, 'too_large'],
    ['conflicts and warnings that a plan lists', count(MAX_LISTED), 'counted'],
    ['patterns in `include`, in `exclude`', count(MAX_PATTERNS), 'invalid_request'],
    ['one pattern', `${count(MAX_PATTERN)} characters`, 'invalid_request'],
    ['matching patterns with tensor names', `${count(MAX_GLOB_STEPS)} steps`, 'invalid_request'],
    ['merges of a batch', count(MAX_MERGES), 'invalid_request'],
    ['model.json', bytes(MAX_TOPOLOGY_BYTES), 'model_too_large'],
    ['model of a job, as F32', bytes(MAX_MODEL_BYTES), 'model_too_large'],
    ['data set of a job', bytes(MAX_DATASET_BYTES), 'model_too_large'],
    ['all models and data sets of a job', bytes(MAX_TOTAL_BYTES), 'model_too_large'],
    ['batch of a job', count(MAX_BATCH), 'invalid_request'],
  ].map(([what, limit, code]) => [what!, limit!, code! in ERRORS ? `\`${code}\`` : code!]);
}
