/** The programs of this project as processes of their own, for tests; whatever happens, they end with the tests. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './until.js';

/** As the image starts them: see "Sizing" in docs/operations.md. */
const NODE_FLAGS = ['--max-semi-space-size=2'];
const NODE_ENVIRONMENT = { MALLOC_ARENA_MAX: '2' };
const PROGRAMS = { api: '../../src/main.js', worker: '../../workers/merge-worker.js' };

export interface ServiceProcess {
  readonly pid: number;
  /** Its standard output so far: log records and what else it says. */
  readonly lines: string[];
  /** Whether its log says that it began to run this merge. */
  began(merge: string): boolean;
  /** Whether it has not ended. */
  readonly alive: boolean;
  /** Sends the signal. */
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and waits for the end; the exit code, null after SIGKILL. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface ApiProcess extends ServiceProcess {
  readonly url: string;
}

export type ServiceEnvironment = Readonly<Record<string, string>>;

export async function startApi(env: ServiceEnvironment): Promise<ApiProcess> {
  const api = start('api', { PORT: '0', LOG_LEVEL: 'warn', ...env });
  const line = await until('the API listens', () => api.lines.find((text) => text.startsWith('emr-merge listens on ')));
  return Object.assign(api, { url: line.split(' ').at(-1)! });
}

/** `behind`: started by `nice`, so that it takes what all others leave. */
export async function startWorker(env: ServiceEnvironment, { behind = false } = {}): Promise<ServiceProcess> {
  const worker = start('worker', { LOG_LEVEL: 'info', ...env }, behind ? ['nice', '-n', '19'] : []);
  await until('the worker is ready', () => worker.lines.some((text) => text.includes('"worker ready"')));
  return worker;
}

function start(program: keyof typeof PROGRAMS, env: ServiceEnvironment, by: readonly string[] = []): ServiceProcess {
  const entry = fileURLToPath(new URL(PROGRAMS[program], import.meta.url));
  const { PATH = '' } = process.env;
  const [command, ...args] = [...by, process.execPath, ...NODE_FLAGS, entry];
  const child = spawn(command!, args, {
    env: { PATH, ...NODE_ENVIRONMENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  return {
    pid: child.pid!,
    lines,
    get alive() {
      return child.exitCode === null && child.signalCode === null;
    },
    signal: (signal) => void child.kill(signal),
    began: (merge) => lines.some((line) => line.includes('"merge started"') && line.includes(merge)),
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const [code] = await ended;
      process.removeListener('exit', kill);
      return code;
    },
  };
}
