import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { buildApp } from './api/app.js';
import { endIdle } from './api/plugins/request-end.js';
import { listNamespaces } from './catalog/namespaces.js';
import type { Config } from './config.js';
import { requireKeys } from './exposure.js';
import { createLogger } from './logger.js';
import { createServices, type Services } from './services.js';
import { removeLeftovers } from './store/open.js';
import { startWorker } from './worker.js';

/** Of the grace: transfers in flight may take so long; what stalls longer is cut, so that the process ends in time. */
const DRAIN_SHARE = 5 / 6;

/** A client that neither sends nor reads for this long is gone. (Uploads have a pace of their own, api/pace.ts.) */
const IDLE_SOCKET_MS = 120_000;

export interface RunningServer {
  readonly url: string;
  /** Lets running downloads end, hands merges back to the queue, and closes everything. */
  close(): Promise<void>;
}

/** The HTTP service, listening. Without Redis it also runs the merges (embedded mode). */
export async function startServer(config: Config, logger: Logger = createLogger(config)): Promise<RunningServer> {
  const services = await createServices(config, logger);
  await requireKeys(config, services.apiKeys).catch(async (error) => {
    await services.close();
    throw error;
  });
  await removeLeftovers(config.store);
  const app = await buildApp({ services, logger, version: packageVersion() });
  app.server.maxConnections = config.maxConnections;
  app.server.requestTimeout = 0; // an upload takes as long as it takes
  app.server.setTimeout(IDLE_SOCKET_MS, endIdle);
  const worker = config.redisUrl === undefined ? await startWorker(services, logger) : undefined;
  const reconciler = startReconciler(services, logger);
  try {
    services.reconstructor.warm();
    const url = await app.listen({ host: config.host, port: config.port });
    return {
      url,
      async close() {
        // The merge goes back to the queue at once; downloads in flight may end.
        const giveUp = setTimeout(() => app.server.closeAllConnections(), DRAIN_SHARE * config.graceMs);
        await Promise.all([worker?.close(), app.close(), reconciler.stop()]);
        clearTimeout(giveUp);
        await services.close();
      },
    };
  } catch (error) {
    await reconciler.stop();
    await worker?.close();
    await services.close();
    throw error;
  }
}

function startReconciler({ config, store, lifecycle, jobLifecycle, followUp, webhooks }: Services, logger: Logger) {
  const stopped = new AbortController();
  const reconcile = async (namespace: string) => {
    const parts = [
      lifecycle.reconcile(namespace, stopped.signal),
      jobLifecycle.reconcile(namespace, stopped.signal),
      followUp.reconcile(namespace, stopped.signal),
      webhooks.reconcile(namespace),
    ];
    const fail = (err: unknown) => {
      giveUp(err);
      return 0;
    };
    const [merges = 0, jobs = 0, evaluations = 0, told = 0] = await Promise.all(parts.map((part) => part.catch(fail)));
    if (merges + jobs + evaluations + told === 0) return;
    logger.info({ namespace, merges, jobs, evaluations, webhooks: told }, 'queued what was accepted and not queued');
  };
  const giveUp = (err: unknown) => logger.warn({ err }, 'what is accepted and not queued could not be looked for');
  const run = async () => {
    for (const namespace of await listNamespaces(store)) await reconcile(namespace);
  };
  const repeat = async () => {
    // One pass after another, however long one takes.
    while (!stopped.signal.aborted) {
      await run().catch(giveUp);
      await delay(config.reconcileMs, undefined, { ref: false, signal: stopped.signal }).catch(() => {});
    }
  };
  const ended = repeat();
  return {
    stop() {
      stopped.abort();
      // A pass that waits for a store which does not answer is left to itself.
      return Promise.race([ended, delay(DRAIN_SHARE * config.graceMs, undefined, { ref: false })]);
    },
  };
}

/** From package.json, which lies two folders above the compiled file. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
