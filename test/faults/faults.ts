/** Every fault that a trial may cause: where, what it does, and what a merge may then say of it. */
import { execFileSync } from 'node:child_process';
import { copyFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { ErrorCode } from '../../src/errors.js';
import { randomNumbers } from '../helpers/random-checkpoint.js';
import { keys } from '../helpers/stores.js';
import type { Cluster, StoreKind } from './cluster.js';
import type { S3_FAULTS } from './fault-proxy.js';

/** One fault of a schedule. */
export interface Fault {
  readonly kind: FaultKind;
  /** Milliseconds after the merges were asked for. */
  readonly at: number;
  /** How long it lasts. */
  readonly ms: number;
  /** In [0, 1): which worker or file, how many requests. */
  readonly draw: number;
}

interface FaultRule {
  readonly stores: readonly StoreKind[];
  /** What it disturbs: a trial has one fault for each. */
  readonly target: string;
  /** The codes with which it may end a merge. */
  readonly ends: readonly ErrorCode[];
  cause(cluster: Cluster, fault: Fault): Promise<void>;
}

const ANY_STORE: readonly StoreKind[] = ['s3', 'file'];
const workerOf = ({ draw }: Fault) => Math.floor(draw * 2);

/** Of all requests to S3 while a fault of S3 lasts: from some to most. */
const shareOf = ({ draw }: Fault) => 0.1 + 0.7 * draw;

const s3Fault = (kind: (typeof S3_FAULTS)[number]): FaultRule => ({
  stores: ['s3'],
  target: 's3',
  // What a reader makes of an answer that is not the object's own is `source_changed` at worst.
  ends: ['store_unavailable', 'upload_incomplete'],
  async cause({ s3 }, fault) {
    s3!.proxy.disturb(kind, shareOf(fault), randomNumbers(Math.floor(fault.draw * 2 ** 31)));
    await pause(fault.ms);
    s3!.proxy.calm();
  },
});

/** The weights of one of the fine-tunes, as they lie in a file store. */
async function sourceFile({ store, folder }: Cluster, { draw }: Fault): Promise<string> {
  const sources = (await keys(store, 'default/checkpoints/')).filter((key) => /\/tuned-.*\.safetensors$/.test(key));
  return join(folder, sources[Math.floor(draw * sources.length)]!);
}

/** Spoils a source and brings it back as it was, in one step, as from a backup. */
const sourceFault = (spoil: (path: string) => Promise<void>): FaultRule => ({
  stores: ['file'],
  target: 'source',
  ends: ['source_changed'],
  async cause(cluster, fault) {
    const path = await sourceFile(cluster, fault);
    const backup = join(cluster.folder, '..', 'backup');
    await copyFile(path, backup);
    await spoil(path);
    await pause(fault.ms);
    await rm(path, { recursive: true, force: true });
    await rename(backup, path);
  },
});

/** The limit of a running process for files that it writes; the system then refuses as a disk without room does. */
function limitFiles(pid: number, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
}

/** Room for facts but for no artifact, or for nothing at all. */
const FULL_BYTES = [0, 64 * 1024] as const;

/** Redis is killed, and starts again with what it had. */
const redisDies = (left: 'data' | 'nothing'): FaultRule => ({
  stores: ANY_STORE,
  target: 'redis',
  ends: [],
  async cause(cluster, fault) {
    await cluster.killRedis();
    await pause(fault.ms);
    await cluster.startRedis(left);
  },
});

export const FAULTS = {
  'kill-worker': {
    stores: ANY_STORE,
    target: 'worker',
    ends: [],
    async cause(cluster, fault) {
      await cluster.killWorker(workerOf(fault));
      await pause(fault.ms);
    },
  },
  'kill-workers': {
    stores: ANY_STORE,
    target: 'worker',
    ends: [],
    async cause(cluster, fault) {
      await Promise.all([cluster.killWorker(0), cluster.killWorker(1)]);
      await pause(fault.ms);
    },
  },
  'zombie-worker': {
    stores: ANY_STORE,
    target: 'worker',
    ends: [],
    async cause({ workers, lockMs }, fault) {
      const worker = workers[workerOf(fault)]!;
      worker.signal('SIGSTOP');
      await pause(2 * lockMs + fault.ms);
      worker.signal('SIGCONT');
    },
  },
  'kill-api': {
    stores: ANY_STORE,
    target: 'api',
    ends: [],
    async cause(cluster, fault) {
      await cluster.killApi();
      await pause(fault.ms);
    },
  },
  'kill-redis': redisDies('data'),
  'empty-redis': redisDies('nothing'),
  'flush-redis': {
    stores: ANY_STORE,
    target: 'redis',
    ends: [],
    async cause({ redisUrl }) {
      const redis = new Redis(redisUrl);
      await redis.flushall();
      redis.disconnect();
    },
  },
  's3-500': s3Fault('500'),
  's3-503': s3Fault('503'),
  's3-slow': s3Fault('slow'),
  's3-reset': s3Fault('reset'),
  's3-lost': s3Fault('lost'),
  's3-truncated': s3Fault('truncated'),
  'disk-full': {
    stores: ['file'],
    target: 'worker',
    ends: ['disk_full'],
    async cause({ workers }, fault) {
      const bytes = FULL_BYTES[workerOf(fault)]!;
      for (const { pid } of workers) limitFiles(pid, bytes);
      await pause(fault.ms);
      for (const { pid } of workers) limitFiles(pid, 'unlimited');
    },
  },
  'source-truncated': sourceFault((path) => truncate(path, 1000)),
  'source-missing': sourceFault((path) => rm(path)),
} satisfies Record<string, FaultRule>;

export type FaultKind = keyof typeof FAULTS;

export const ruleOf = (kind: FaultKind): FaultRule => FAULTS[kind];

export function faultKinds(store: StoreKind): FaultKind[] {
  return (Object.keys(FAULTS) as FaultKind[]).filter((kind) => ruleOf(kind).stores.includes(store));
}
