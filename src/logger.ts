import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Logger, pino } from 'pino';
import type { Config } from './config.js';

/** Shorter ones would take harmless words out of every line; nobody has such a secret by design. */
const MIN_SECRET = 8;

/** A stored key, whose secret this process cannot know. Its id may be read: it says which key to revoke. */
const ANY_KEY = /\b(emr_[0-9a-f]{16})_[A-Za-z0-9_-]{43}/g;

/** Two folders above the compiled file: where this program is installed. */
const INSTALLED = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The log of a process: JSON lines on standard output, without secrets, paths of this machine and stacks. */
export function createLogger(
  config: Config,
  write: (line: string) => void = (line) => void process.stdout.write(line),
): Logger {
  const redact = createRedaction(config);
  return pino(
    { level: config.logLevel, serializers: { err: describeError } },
    { write: (line) => write(redact(line)) },
  );
}

interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly code?: unknown;
  readonly cause?: DescribedError;
}

/** What an error says, and what caused it. Where in the code it arose is not for a log that others may read. */
function describeError(error: unknown): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { code } = error as NodeJS.ErrnoException;
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.cause instanceof Error ? { cause: describeError(error.cause) } : {}),
  };
}

/** Takes the secrets and the folders that the configuration names out of a line. */
export function createRedaction({ apiKeys, redisUrl, webhooks, store, fileRoots }: Config): (line: string) => string {
  const password = redisUrl === undefined ? '' : new URL(redisUrl).password;
  const signing = webhooks.secrets.map((secret) => secret.toString('base64'));
  const all = [...apiKeys, ...signing, password, decodeURIComponent(password)];
  const secrets = all.filter(({ length }) => length >= MIN_SECRET);
  const folders: [string, string][] = [
    ...(store.kind === 'file' ? [[store.root, '<store>'] as [string, string]] : []),
    ...fileRoots.map((root): [string, string] => [root, '<root>']),
    [INSTALLED, '<program>'],
    [tmpdir(), '<tmp>'],
  ];
  const replaced = [...secrets.map((secret): [string, string] => [secret, '<secret>']), ...folders]
    .filter(([text]) => text.length > 1)
    .map(([text, by]): [string, string] => [JSON.stringify(text).slice(1, -1), by])
    .sort(([a], [b]) => b.length - a.length); // what lies below another before it
  return (line) =>
    replaced.reduce((rest, [text, by]) => rest.replaceAll(text, by), line.replace(ANY_KEY, '$1_<secret>'));
}
