/**
 * Every refusal of this project, in one table: HTTP status, whether the same call may succeed later, and its title.
 * The `code` is a stable part of the public API; texts may change. An error names checkpoint, tensor and number, and
 * never a local path.
 */
export const ERRORS = {
  // Requests
  invalid_request: { status: 400, retry: false, title: 'The request does not fit its schema' },
  invalid_name: { status: 400, retry: false, title: 'A name is not of the allowed form' },
  invalid_range: { status: 416, retry: false, title: 'No requested byte range lies within the file' },
  not_found: { status: 404, retry: false, title: 'There is nothing at this address' },
  method_not_allowed: { status: 405, retry: false, title: 'The address does not answer to this method' },
  unauthorized: { status: 401, retry: false, title: 'The request has no valid API key' },
  forbidden: { status: 403, retry: false, title: 'Whoever sent the request may not do this' },
  rate_limited: { status: 429, retry: true, title: 'The API key has sent too many requests' },
  too_many_running: { status: 429, retry: true, title: 'The API key has as many merges and jobs running as it may' },
  quota_exceeded: { status: 403, retry: false, title: 'The namespace of the API key may hold no more bytes' },
  length_required: { status: 411, retry: false, title: 'The request has to say how long its body is' },
  unknown_key: { status: 404, retry: false, title: 'There is no API key of this id' },
  unsupported_media_type: { status: 415, retry: false, title: 'The content type is not accepted here' },
  too_large: { status: 413, retry: false, title: 'This is larger than this server accepts' },
  upload_incomplete: { status: 400, retry: true, title: 'The upload ended before it was whole' },
  upload_stalled: { status: 408, retry: true, title: 'The upload came too slowly' },
  // Checkpoints
  unknown_checkpoint: { status: 404, retry: false, title: 'There is no checkpoint of this name' },
  being_deleted: { status: 409, retry: true, title: 'What is asked for is being deleted' },
  name_taken: { status: 409, retry: false, title: 'The name is taken' },
  checkpoint_in_use: { status: 409, retry: false, title: 'The checkpoint is in use by a merge or job' },
  checkpoint_changed: { status: 409, retry: false, title: 'The checkpoint is no longer the one that was merged' },
  checkpoint_empty: { status: 422, retry: false, title: 'The checkpoint has no safetensors file' },
  checkpoint_ambiguous: { status: 422, retry: false, title: 'Several safetensors files and no index that joins them' },
  source_not_found: { status: 404, retry: false, title: 'There are no files at the source' },
  source_not_allowed: { status: 403, retry: false, title: 'The source lies outside the configured roots' },
  source_unsupported: { status: 400, retry: false, title: 'This kind of source is not supported' },
  source_changed: { status: 409, retry: false, title: 'A file changed while it was read' },
  pickle_refused: { status: 422, retry: false, title: 'The file is a pickle, and pickles are not stored' },
  archive_refused: {
    status: 422,
    retry: false,
    title: 'The file is an archive or compressed, and nothing is unpacked',
  },
  // safetensors, one code per rule of the format
  safetensors_too_short: { status: 422, retry: false, title: 'Too short for a safetensors header' },
  safetensors_header_too_large: { status: 422, retry: false, title: 'The safetensors header is larger than the limit' },
  safetensors_header_truncated: { status: 422, retry: false, title: 'The file ends inside its safetensors header' },
  safetensors_header_not_utf8: { status: 422, retry: false, title: 'The safetensors header is not UTF-8' },
  safetensors_header_start: { status: 422, retry: false, title: 'The safetensors header does not begin with {' },
  safetensors_header_not_json: { status: 422, retry: false, title: 'The safetensors header is not valid JSON' },
  safetensors_duplicate_key: { status: 422, retry: false, title: 'A key appears twice in the safetensors header' },
  safetensors_metadata: { status: 422, retry: false, title: '__metadata__ is not a map of strings' },
  safetensors_entry: { status: 422, retry: false, title: 'A tensor entry does not have dtype, shape and data_offsets' },
  safetensors_shape: { status: 422, retry: false, title: 'A tensor shape is not a list of sizes' },
  safetensors_shape_overflow: { status: 422, retry: false, title: 'A tensor is larger than can be addressed' },
  safetensors_offsets: { status: 422, retry: false, title: 'Tensor offsets leave a hole, overlap, or run backwards' },
  safetensors_span: { status: 422, retry: false, title: 'A tensor span is not its shape times its dtype' },
  safetensors_length: { status: 422, retry: false, title: 'The file is shorter or longer than its tensors' },
  safetensors_too_many_tensors: { status: 422, retry: false, title: 'More tensors than the limit' },
  safetensors_name: { status: 422, retry: false, title: 'A tensor name is empty or too long' },
  dtype_refused: { status: 422, retry: false, title: 'A tensor has a dtype that cannot be merged or kept' },
  // Sharded checkpoints
  index_invalid: { status: 422, retry: false, title: 'The safetensors index is not valid' },
  index_shard_name: { status: 422, retry: false, title: 'A shard name is not a plain base name' },
  index_shard_missing: { status: 422, retry: false, title: 'The index names a shard that is not there' },
  index_tensor_missing: { status: 422, retry: false, title: 'The index names a tensor that its shard lacks' },
  index_tensor_unlisted: {
    status: 422,
    retry: false,
    title: 'A shard has a tensor that the index lacks or puts elsewhere',
  },
  index_shard_unlisted: {
    status: 422,
    retry: false,
    title: 'There is a safetensors file that the index does not name',
  },
  // Merges
  unknown_merge: { status: 404, retry: false, title: 'There is no merge of this id or name' },
  unknown_batch: { status: 404, retry: false, title: 'There is no batch of this id' },
  batch_refused: { status: 422, retry: false, title: 'A merge of the batch cannot be run, so none was accepted' },
  unknown_task: { status: 404, retry: false, title: 'The merge has no task of this name' },
  unknown_file: { status: 404, retry: false, title: 'There is no file of this name' },
  merge_not_ready: { status: 409, retry: true, title: 'The merge has not ended yet' },
  merge_failed: { status: 409, retry: false, title: 'The merge failed or was cancelled, so it has no result' },
  merge_running: { status: 409, retry: true, title: 'The merge is still queued or running' },
  merge_ended: { status: 409, retry: false, title: 'The merge has already ended' },
  merge_conflict: { status: 422, retry: false, title: 'The checkpoints cannot be merged as asked' },
  statistics_mismatch: { status: 422, retry: false, title: 'Statistics do not fit the tensors that are merged' },
  invalid_statistic: {
    status: 422,
    retry: false,
    title: 'A statistic is NaN, infinite or negative, or no Gram matrix',
  },
  singular_gram: { status: 422, retry: false, title: 'The Gram matrices of a linear layer are singular' },
  not_for_this_method: { status: 409, retry: false, title: 'The method of this merge has no such output' },
  non_finite_weight: { status: 422, retry: false, title: 'A weight is NaN or infinite' },
  task_vector_overflow: { status: 422, retry: false, title: 'A task vector or merged weight is beyond its dtype' },
  checkpoint_corrupt: { status: 500, retry: false, title: 'A file of a checkpoint is not what was recorded' },
  artifact_corrupt: { status: 500, retry: false, title: 'A stored artifact is not what was written' },
  cancelled: { status: 409, retry: false, title: 'The merge was cancelled' },
  // Jobs, which run models
  unknown_job: { status: 404, retry: false, title: 'There is no job of this id' },
  job_running: { status: 409, retry: true, title: 'The job is still queued or running' },
  job_ended: { status: 409, retry: false, title: 'The job has already ended' },
  model_missing: { status: 422, retry: false, title: 'The checkpoint has no model.json, so it cannot run' },
  model_invalid: { status: 422, retry: false, title: 'The topology in model.json cannot be run' },
  model_mismatch: { status: 422, retry: false, title: 'The topology in model.json does not fit the weights' },
  model_too_large: { status: 422, retry: false, title: 'A model or data set is beyond what a job may hold' },
  model_output: { status: 422, retry: false, title: 'The model puts out numbers that are not finite' },
  dataset_invalid: { status: 422, retry: false, title: 'The data set does not fit what is asked of it' },
  label_out_of_range: { status: 422, retry: false, title: 'A label is no class of the model' },
  // Calls to other servers
  webhooks_disabled: { status: 422, retry: false, title: 'This server sends no webhooks' },
  too_many_webhooks: { status: 409, retry: false, title: 'The merge has as many webhooks as it may' },
  outbound_not_allowed: { status: 403, retry: false, title: 'The address is not one that this server calls' },
  outbound_failed: { status: 502, retry: true, title: 'The other server gave no answer' },
  // The machine
  disk_full: { status: 507, retry: true, title: 'The store has no room left' },
  store_unavailable: { status: 503, retry: true, title: 'The object store does not answer' },
  queue_unavailable: { status: 503, retry: true, title: 'The queue does not answer' },
  overloaded: { status: 503, retry: true, title: 'The server has as much to do as it takes at once' },
  not_ready: { status: 503, retry: true, title: 'The server cannot do its work at present' },
  internal: { status: 500, retry: true, title: 'The server failed' },
} as const satisfies Record<string, { status: number; retry: boolean; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** Facts that belong to an error and that a program may want: names, numbers, lists of conflicts. JSON values only. */
export type ErrorFacts = Record<string, unknown>;

/** A refusal with a code of {@link ERRORS}. `detail` is a sentence for a person that says what to do. */
export class EmrError extends Error {
  override readonly name = 'EmrError';

  constructor(
    readonly code: ErrorCode,
    readonly detail: string,
    readonly facts: ErrorFacts = {},
    options?: ErrorOptions,
  ) {
    super(`${code}: ${detail}`, options);
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retry(): boolean {
    return ERRORS[this.code].retry;
  }
}

/** The EmrError that `error` is, or `internal` around it, so that callers always have a code. */
export function toEmrError(error: unknown): EmrError {
  if (error instanceof EmrError) return error;
  return new EmrError('internal', 'An unexpected error; the server log has its cause.', {}, { cause: error });
}
