/** A real headless Chromium for tests, driven over its own protocol through a pipe: no library is needed for that. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const INSTALL = 'apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core';

export interface View {
  readonly width: number;
  readonly scheme: 'light' | 'dark';
}

/** A page that was loaded and came to rest. */
export interface LoadedPage {
  /** Addresses of all requests that it made, its own first. */
  readonly requests: readonly string[];
  /** What it said on the console, and what the browser complained of. */
  readonly complaints: readonly string[];
  /** The value of an expression in the page, as JSON. */
  evaluate<T>(expression: string): Promise<T>;
  /** A PNG of the first `height` pixels. */
  screenshot(height: number): Promise<Buffer>;
  close(): Promise<void>;
}

export interface Browser {
  load(url: string, view: View): Promise<LoadedPage>;
  close(): Promise<void>;
}

/** The browser, or why there is none. In CI that is an error. */
export async function chromium(): Promise<Browser | { readonly skip: string }> {
  if (isInstalled() || install()) return start();
  const skip = `no chromium here; to bring it: ${INSTALL}`;
  if (process.env.CI === 'true') throw new Error(skip);
  return { skip };
}

function isInstalled(): boolean {
  try {
    execFileSync('chromium', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Under a lock, since test files run side by side. */
function install(): boolean {
  if (process.getuid?.() !== 0) return false;
  const script = `command -v chromium || { ${INSTALL}; }`;
  try {
    execFileSync('flock', [join(tmpdir(), 'emr-merge-apt.lock'), 'sh', '-c', script], {
      stdio: 'ignore',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  } catch {
    return false;
  }
  return isInstalled();
}

async function start(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'emr-chromium-'));
  const flags = ['--headless', '--remote-debugging-pipe', '--no-first-run', '--disable-gpu', '--disable-dev-shm-usage'];
  if (process.getuid?.() === 0) flags.push('--no-sandbox'); // as root it refuses to start with one
  const child = spawn('chromium', [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: profile },
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = once(child, 'exit');
  const protocol = connect(child);
  return {
    load: (url, view) => load(protocol, url, view),
    async close() {
      await protocol.call('Browser.close').catch(kill);
      await exited;
      process.removeListener('exit', kill);
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

type Json = Record<string, unknown>;
type Listener = (method: string, params: Json) => void;

interface Protocol {
  call(method: string, params?: object, session?: string): Promise<Json>;
  listen(session: string, listener: Listener): void;
}

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Json;
  readonly result?: Json;
  readonly error?: { readonly message: string };
}

/** Messages are JSON, each ended by a zero byte: to the browser on its descriptor 3, from it on 4. */
function connect(child: ChildProcess): Protocol {
  const to = child.stdio[3] as Writable;
  const from = child.stdio[4] as Readable;
  const waiting = new Map<number, { resolve: (result: Json) => void; reject: (error: Error) => void }>();
  const listeners = new Map<string, Listener>();
  let last = 0;
  let rest = '';

  const deliver = ({ id, sessionId, method, params, result, error }: Message) => {
    if (id === undefined) return listeners.get(sessionId ?? '')?.(method!, params!);
    const call = waiting.get(id);
    waiting.delete(id);
    if (error) call?.reject(new Error(error.message));
    else call?.resolve(result!);
  };
  from.setEncoding('utf8').on('data', (chunk: string) => {
    const messages = (rest + chunk).split('\0');
    rest = messages.pop()!;
    for (const text of messages) deliver(JSON.parse(text) as Message);
  });
  const fail = () => {
    for (const { reject } of waiting.values()) reject(new Error('Chromium has ended.'));
    waiting.clear();
  };
  to.on('error', fail);
  child.once('exit', fail).once('error', fail);

  return {
    call(method, params = {}, sessionId) {
      const id = ++last;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
      });
    },
    listen: (session, listener) => void listeners.set(session, listener),
  };
}

async function load(protocol: Protocol, url: string, { width, scheme }: View): Promise<LoadedPage> {
  const { targetId } = await protocol.call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await protocol.call('Target.attachToTarget', { targetId, flatten: true });
  const call = (method: string, params?: object) => protocol.call(method, params, sessionId as string);

  const requests: string[] = [];
  const complaints: string[] = [];
  const loaded = new Promise<void>((resolve) => {
    protocol.listen(sessionId as string, (method, params) => {
      const text = JSON.stringify(params);
      if (method === 'Network.requestWillBeSent') requests.push((params.request as { url: string }).url);
      if (method === 'Runtime.consoleAPICalled' || method === 'Runtime.exceptionThrown') complaints.push(text);
      if (method === 'Log.entryAdded') complaints.push(text);
      if (method === 'Page.loadEventFired') resolve();
    });
  });
  for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await call(`${domain}.enable`);
  await call('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: false });
  await call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  await call('Page.navigate', { url });
  await loaded;

  const evaluate = async <T>(expression: string): Promise<T> => {
    const answer = await call('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
    if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails));
    return (answer.result as { value: T }).value;
  };
  // Two frames later everything has been drawn, and what the page would load has been asked for.
  await evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))');
  return {
    requests,
    complaints,
    evaluate,
    async screenshot(height) {
      const clip = { x: 0, y: 0, width, height, scale: 1 };
      const { data } = await call('Page.captureScreenshot', { clip, captureBeyondViewport: true });
      return Buffer.from(data as string, 'base64');
    },
    close: async () => void (await protocol.call('Target.closeTarget', { targetId })),
  };
}
