import { z } from 'zod';
import { FORMAT_LIMITS, type FormatLimit, type FormatLimits } from './checkpoint/limits.js';
import { MAX_TASKS } from './merge/max-tasks.js';
import { MAX_BATCH_CELLS, MAX_PLAN_CELLS } from './merge/plan-cells.js';
import { VERIFY_MODES, type VerifyMode } from './merge/verify-inputs.js';
import { networkList } from './outbound/addresses.js';
import { type AllowedHost, parseAllowedHost } from './outbound/hosts.js';
import { parseStoreUrl } from './store/open.js';
import type { StoreConfig } from './store/types.js';
import { parseSecret } from './webhooks/signature.js';

const list = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  )
  .default([]);
const optional = z.string().min(1).optional();

/** Each entry through `parse`, whose Error is the message. */
const listOf = <T>(parse: (entry: string) => T) =>
  list.transform((entries, context) =>
    entries.flatMap((entry) => {
      try {
        return [parse(entry)];
      } catch (error) {
        context.addIssue((error as Error).message);
        return [];
      }
    }),
  );

const count = (value: number, ceiling = Number.MAX_SAFE_INTEGER) =>
  z.coerce.number().int().min(1).max(ceiling).default(value);
const formatLimit = (name: FormatLimit) => count(FORMAT_LIMITS[name].usual, FORMAT_LIMITS[name].ceiling);

/** A body in JSON is parsed at once, and all else waits meanwhile. */
const CEILING_JSON_BYTES = 64 * 2 ** 20;

/** The environment of a process; every variable is optional. The only place where it is read. */
const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  HOST: z.string().min(1).default('127.0.0.1'),
  EMR_DATA_DIR: z.string().min(1).default('./data'),
  EMR_STORE: optional,
  S3_ENDPOINT: z.url().optional(),
  S3_CHECKSUMS: z.enum(['when_required', 'when_supported']).optional(),
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
  /** Threads that compute one merge. */
  EMR_THREADS: z.coerce.number().int().min(1).max(256).optional(),
  EMR_API_KEYS: list,
  /** Of one key; a few clients that poll and download by ranges stay below, a loop that went wild does not. */
  EMR_REQUESTS_PER_MINUTE: z.coerce.number().int().min(1).default(6_000),
  /** Folders below which `file:///…` checkpoints may be registered. */
  EMR_FILE_ROOTS: list,
  /** Of one upload request; the default holds any single checkpoint of today and still stops a runaway client. */
  EMR_MAX_UPLOAD_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(2 ** 40),
  /** A merge of 256 tasks with all its patterns is well below; merges of many tasks with large grids of methods may not be. */
  EMR_MAX_JSON_BYTES: count(4 * 2 ** 20, CEILING_JSON_BYTES),
  EMR_MAX_HEADER_BYTES: formatLimit('maxHeaderBytes'),
  EMR_MAX_TENSORS: formatLimit('maxTensors'),
  EMR_MAX_TENSOR_NAME_BYTES: formatLimit('maxNameBytes'),
  EMR_MAX_DIMENSIONS: formatLimit('maxDimensions'),
  EMR_MAX_SHARDS: formatLimit('maxShards'),
  EMR_MAX_FILES: formatLimit('maxFiles'),
  /** Whom this program may call because a client asked for it; nobody, unless it is said here. */
  EMR_OUTBOUND_HOSTS: listOf(parseAllowedHost),
  /** Networks of such hosts, as CIDR, that are called although they are not public. */
  EMR_OUTBOUND_NETWORKS: listOf((network) => {
    networkList([network]);
    return network;
  }),
  /** Which inputs of a merge are hashed and compared with their record, beside being read. */
  EMR_VERIFY: z.enum(VERIFY_MODES).default('sampled'),
  /** Secrets that sign webhooks, `whsec_<base64>`; while one replaces another, both. Without any, none is sent. */
  EMR_WEBHOOK_SECRET: listOf(parseSecret),
  /** How often one receiver is tried in all, and the wait before the second try; each further wait is four times as long. */
  EMR_WEBHOOK_ATTEMPTS: z.coerce.number().int().min(1).max(20).default(8),
  EMR_WEBHOOK_WAIT_SECONDS: z.coerce.number().min(0.01).max(3600).default(5),
  /** Each holds some MiB of buffers (over S3, ten) while it lasts. */
  EMR_MAX_UPLOADS: count(32),
  /** Each holds two workspaces of some MiB; more at once than this only take cores from each other. */
  EMR_MAX_RECONSTRUCTIONS: count(32),
  /** Each holds three buffers of 1 MiB, whether it sends a stored file, verifies files, or makes a table or a page of them. */
  EMR_MAX_DOWNLOADS: count(128),
  EMR_MAX_TASKS: count(MAX_TASKS.usual, MAX_TASKS.ceiling),
  EMR_MAX_PLAN_CELLS: count(MAX_PLAN_CELLS),
  EMR_MAX_BATCH_CELLS: count(MAX_BATCH_CELLS),
  /** Days of work for most; beyond it a client has more likely run wild than a plan. */
  EMR_MAX_WAITING_MERGES: count(10_000),
  /** Below what a process may have open by default on most systems, with its files. */
  EMR_MAX_CONNECTIONS: count(2_000),
  /** From SIGTERM to the end of the process, at most; a supervisor's own limit must be longer. */
  EMR_GRACE_SECONDS: z.coerce.number().min(1).max(3600).default(30),
  /** Three quarters of this and up to one and a half times pass before the merge of a dead worker is taken up by another. */
  EMR_LOCK_SECONDS: z.coerce.number().min(1).max(600).default(10),
  /** How often accepted merges that no queue knows are looked for; they are rare (a Redis that lost its data). */
  EMR_RECONCILE_SECONDS: z.coerce.number().min(1).max(3600).default(30),
  /** How often a running merge notes how far it is, so that another worker goes on from there. */
  EMR_SAVE_SECONDS: z.coerce.number().min(0).max(3600).default(10),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
});

export interface Config {
  readonly host: string;
  readonly port: number;
  readonly store: StoreConfig;
  readonly redisUrl: string | undefined;
  readonly threads: number | undefined;
  readonly apiKeys: readonly string[];
  readonly requestsPerMinute: number;
  readonly fileRoots: readonly string[];
  readonly maxUploadBytes: number;
  readonly maxJsonBytes: number;
  /** What a checkpoint may claim of itself. */
  readonly limits: FormatLimits;
  readonly outbound: { readonly hosts: readonly AllowedHost[]; readonly networks: readonly string[] };
  readonly verify: VerifyMode;
  readonly webhooks: { readonly secrets: readonly Buffer[]; readonly attempts: number; readonly waitMs: number };
  /** What one process serves at once. */
  readonly atOnce: { readonly uploads: number; readonly reconstructions: number; readonly downloads: number };
  /** Of a merge or a job. */
  readonly maxTasks: number;
  /** Names of tensors times checkpoints, of a merge or a job, and of all merges of a batch. */
  readonly maxPlanCells: number;
  readonly maxBatchCells: number;
  readonly maxWaitingMerges: number;
  readonly maxConnections: number;
  readonly graceMs: number;
  readonly lockMs: number;
  readonly reconcileMs: number;
  readonly saveEveryMs: number;
  readonly logLevel: z.output<typeof environment>['LOG_LEVEL'];
  /** Variables that look like ours and are not: misspelt, or of something else with that prefix. */
  readonly unknownSettings: readonly string[];
}

/** Reads and checks the environment; throws an Error whose message names every variable at fault. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  // `FOO= npm start` means "not set", as with most tools.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = environment.safeParse(given);
  if (!parsed.success) throw new Error(`The environment is not valid:\n${z.prettifyError(parsed.error)}`);
  const e = parsed.data;
  return {
    host: e.HOST,
    port: e.PORT,
    store: parseStoreUrl(e.EMR_STORE ?? `file:${e.EMR_DATA_DIR}`, {
      ...(e.S3_ENDPOINT ? { endpoint: e.S3_ENDPOINT } : {}),
      ...(e.S3_CHECKSUMS ? { checksums: e.S3_CHECKSUMS } : {}),
    }),
    redisUrl: e.REDIS_URL,
    threads: e.EMR_THREADS,
    apiKeys: e.EMR_API_KEYS,
    requestsPerMinute: e.EMR_REQUESTS_PER_MINUTE,
    fileRoots: e.EMR_FILE_ROOTS,
    maxUploadBytes: e.EMR_MAX_UPLOAD_BYTES,
    maxJsonBytes: e.EMR_MAX_JSON_BYTES,
    limits: {
      maxHeaderBytes: e.EMR_MAX_HEADER_BYTES,
      maxTensors: e.EMR_MAX_TENSORS,
      maxNameBytes: e.EMR_MAX_TENSOR_NAME_BYTES,
      maxDimensions: e.EMR_MAX_DIMENSIONS,
      maxShards: e.EMR_MAX_SHARDS,
      maxFiles: e.EMR_MAX_FILES,
    },
    outbound: { hosts: e.EMR_OUTBOUND_HOSTS, networks: e.EMR_OUTBOUND_NETWORKS },
    verify: e.EMR_VERIFY,
    webhooks: {
      secrets: e.EMR_WEBHOOK_SECRET,
      attempts: e.EMR_WEBHOOK_ATTEMPTS,
      waitMs: 1000 * e.EMR_WEBHOOK_WAIT_SECONDS,
    },
    atOnce: {
      uploads: e.EMR_MAX_UPLOADS,
      reconstructions: e.EMR_MAX_RECONSTRUCTIONS,
      downloads: e.EMR_MAX_DOWNLOADS,
    },
    maxTasks: e.EMR_MAX_TASKS,
    maxPlanCells: e.EMR_MAX_PLAN_CELLS,
    maxBatchCells: e.EMR_MAX_BATCH_CELLS,
    maxWaitingMerges: e.EMR_MAX_WAITING_MERGES,
    maxConnections: e.EMR_MAX_CONNECTIONS,
    graceMs: 1000 * e.EMR_GRACE_SECONDS,
    lockMs: 1000 * e.EMR_LOCK_SECONDS,
    reconcileMs: 1000 * e.EMR_RECONCILE_SECONDS,
    saveEveryMs: 1000 * e.EMR_SAVE_SECONDS,
    logLevel: e.LOG_LEVEL,
    unknownSettings: Object.keys(given).filter((name) => /^EMR_/.test(name) && !(name in environment.shape)),
  };
}
