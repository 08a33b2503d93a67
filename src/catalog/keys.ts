/** The folders of a namespace that the service keeps; a test compares them with the keys below. */
const OWN_FOLDERS = /^(checkpoints|merges|jobs|batches|merge-names|webhooks)(\/|$)/;

/** Where facts and bytes lie in the store: the one place that spells keys. See docs/design.md, "Store layout". */
export const keys = {
  checkpoints: (ns: string) => `${ns}/checkpoints/`,
  checkpoint: (ns: string, name: string) => `${ns}/checkpoints/${name}/`,
  checkpointRecord: (ns: string, name: string) => `${ns}/checkpoints/${name}/checkpoint.json`,
  uploads: (ns: string, name: string) => `${ns}/checkpoints/${name}/u/`,
  upload: (ns: string, name: string, upload: string) => `${ns}/checkpoints/${name}/u/${upload}/`,
  /** Whether a key is that of an uploaded file: nobody else writes there, and nothing is written there twice. */
  isUploaded: (key: string) => /^[^/]+\/checkpoints\/[^/]+\/u\//.test(key),
  /** Whether a folder of a namespace, or one below it, is the service's own. */
  isOwn: (folder: string) => OWN_FOLDERS.test(folder),
  merges: (ns: string) => `${ns}/merges/`,
  merge: (ns: string, id: string) => `${ns}/merges/${id}/`,
  mergeResult: (ns: string, id: string) => `${ns}/merges/${id}/result.json`,
  attempts: (ns: string, id: string) => `${ns}/merges/${id}/a/`,
  attempt: (ns: string, id: string, attempt: string) => `${ns}/merges/${id}/a/${attempt}/`,
  evaluations: (ns: string, id: string) => `${ns}/merges/${id}/evaluations/`,
  evaluation: (ns: string, id: string, job: string) => `${ns}/merges/${id}/evaluations/${job}.json`,
  /** What is to be evaluated when the merge has succeeded. */
  askedEvaluations: (ns: string, id: string) => `${ns}/merges/${id}/asked/`,
  askedEvaluation: (ns: string, id: string, asked: string) => `${ns}/merges/${id}/asked/${asked}.json`,
  /** Who is told of the merge's end, and every attempt to do so. */
  webhooks: (ns: string, merge: string) => `${ns}/merges/${merge}/webhooks/`,
  webhook: (ns: string, merge: string, webhook: string) => `${ns}/merges/${merge}/webhooks/${webhook}/asked.json`,
  webhookAttempts: (ns: string, merge: string, webhook: string, delivery: string) =>
    `${ns}/merges/${merge}/webhooks/${webhook}/${delivery}/`,
  webhookAttempt: (ns: string, merge: string, webhook: string, delivery: string, attempt: number) =>
    `${ns}/merges/${merge}/webhooks/${webhook}/${delivery}/${attempt}.json`,
  /** A mark for each webhook that is to be told still, so that these are found without a look at every merge. */
  waitingWebhooks: (ns: string) => `${ns}/webhooks/`,
  waitingWebhooksOf: (ns: string, merge: string) => `${ns}/webhooks/${merge}/`,
  waitingWebhook: (ns: string, merge: string, webhook: string) => `${ns}/webhooks/${merge}/${webhook}.json`,
  jobs: (ns: string) => `${ns}/jobs/`,
  batch: (ns: string, id: string) => `${ns}/batches/${id}.json`,
  alias: (ns: string, name: string) => `${ns}/merge-names/${name}.json`,
};

/** Below an attempt (a prefix, as `attempt` gives it): what is there for the next one to go on from. */
export const savedBelow = (attempt: string) => `${attempt}saved/`;

/** What belongs to no namespace; their names have no `_`. */
export const apiKeyKeys = {
  all: '_keys/',
  record: (id: string) => `_keys/${id}/key.json`,
  revoked: (id: string) => `_keys/${id}/revoked.json`,
};
