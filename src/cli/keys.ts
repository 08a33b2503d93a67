/** `emr keys …`: the keys of the API, in the store that the environment names. */
import { parseArgs } from 'node:util';
import { type ApiKey, type ApiKeys, createApiKeys, type KeyLimits, MAX_KEY_NAME } from '../catalog/api-keys.js';
import { readConfig } from '../config.js';
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from '../names.js';
import { KEY_SCOPES, type KeyScope } from '../scopes.js';
import { openStore } from '../store/open.js';

export const KEYS_USAGE = `emr keys create --scope read|write|admin [--namespace NAME] [--name TEXT] [--expires 90d|2027-01-31]
                [--requests-per-minute N] [--stored-bytes N] [--running N]
    prints the key, which is said this once; the namespace is ${DEFAULT_NAMESPACE} if none is named
emr keys list [--namespace NAME]
emr keys revoke ID`;

/** What the person who typed it can mend. */
export class UsageError extends Error {}

const DAY_MS = 24 * 60 * 60 * 1000;

export interface KeysCommand {
  readonly apiKeys: ApiKeys;
  readonly now: () => number;
  /** One line of standard output, or of standard error. */
  readonly print: (line: string) => void;
  readonly note: (line: string) => void;
}

/** Runs `emr keys` with the words after it, on the store of this environment. */
export async function runKeysHere(args: readonly string[]): Promise<void> {
  const store = await openStore(readConfig(process.env).store);
  try {
    await runKeys(args, {
      apiKeys: createApiKeys(store, Date.now),
      now: Date.now,
      print: (line) => process.stdout.write(`${line}\n`),
      note: (line) => process.stderr.write(`${line}\n`),
    });
  } finally {
    await store.close();
  }
}

export async function runKeys([verb, ...args]: readonly string[], command: KeysCommand): Promise<void> {
  const run = { create, list, revoke }[verb as 'create' | 'list' | 'revoke'];
  if (run === undefined)
    throw new UsageError(verb === undefined ? 'What about the keys?' : `There is no keys ${verb}.`);
  await run(args, command);
}

async function create(args: string[], { apiKeys, now, print, note }: KeysCommand): Promise<void> {
  const text = { type: 'string' } as const;
  const options = {
    scope: text,
    namespace: { ...text, default: DEFAULT_NAMESPACE },
    name: text,
    expires: text,
    'requests-per-minute': text,
    'stored-bytes': text,
    running: text,
  };
  const { values } = parse(() => parseArgs({ args, options }));
  const limits: KeyLimits = {
    ...asked('requests_per_minute', values['requests-per-minute'], 1),
    ...asked('stored_bytes', values['stored-bytes'], 0),
    ...asked('running', values.running, 1),
  };
  const { record, key } = await apiKeys.create({
    scope: scopeOf(values.scope),
    namespace: namespaceOf(values.namespace),
    limits,
    ...(values.name === undefined ? {} : { name: nameOf(values.name) }),
    ...(values.expires === undefined ? {} : { expires_at: expiryOf(values.expires, now()) }),
  });
  note(`Key ${record.id}, scope ${record.scope}, namespace ${record.namespace}. It is not shown again:`);
  print(key);
}

async function list(args: string[], { apiKeys, now, print }: KeysCommand): Promise<void> {
  const { values } = parse(() => parseArgs({ args, options: { namespace: { type: 'string' } } }));
  const rows = [['id', 'namespace', 'scope', 'state', 'created', 'expires', 'name']];
  for await (const key of apiKeys.list()) {
    if (values.namespace !== undefined && key.namespace !== values.namespace) continue;
    const { id, namespace, scope, created_at, expires_at = '-', name = '-' } = key;
    rows.push([id, namespace, scope, stateOf(key, now()), created_at, expires_at, name]);
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows)
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
}

async function revoke(args: string[], { apiKeys, note }: KeysCommand): Promise<void> {
  const { positionals } = parse(() => parseArgs({ args, allowPositionals: true }));
  const [id] = positionals;
  if (id === undefined || positionals.length > 1) throw new UsageError('Name the id of one key, as in emr keys list.');
  note((await apiKeys.revoke(id)) ? `Key ${id} is revoked.` : `Key ${id} was revoked before.`);
}

function stateOf({ revoked_at, expires_at }: ApiKey, now: number): string {
  if (revoked_at !== undefined) return 'revoked';
  return expires_at !== undefined && Date.parse(expires_at) <= now ? 'expired' : 'active';
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause));
  }
}

function scopeOf(text: string | undefined): KeyScope {
  const scope = KEY_SCOPES.find((one) => one === text);
  if (scope === undefined) throw new UsageError(`--scope is one of ${KEY_SCOPES.join(', ')}.`);
  return scope;
}

function nameOf(text: string): string {
  if (text.length <= MAX_KEY_NAME && !/\p{Cc}/u.test(text)) return text;
  throw new UsageError(`--name is one line of at most ${MAX_KEY_NAME} characters.`);
}

function namespaceOf(text: string): string {
  if (NAMESPACE_PATTERN.test(text)) return text;
  throw new UsageError('A namespace has at most 63 small letters, digits and hyphens, and begins with no hyphen.');
}

function expiryOf(text: string, now: number): string {
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  const at = days === undefined ? Date.parse(text) : now + Number(days) * DAY_MS;
  if (at > now) return new Date(at).toISOString();
  throw new UsageError('--expires is a number of days, as 90d, or a date to come, as 2027-01-31.');
}

function asked(limit: keyof KeyLimits, text: string | undefined, least: number): KeyLimits {
  if (text === undefined) return {};
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least) return { [limit]: value };
  throw new UsageError(`--${limit.replaceAll('_', '-')} is a whole number of at least ${least}.`);
}
