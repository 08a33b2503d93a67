/** The two kinds of connection that the queue has to Redis. */
import { Redis, type RedisOptions } from 'ioredis';
import type { Log } from './options.js';

/** A client that waits longer than this for its turn to reconnect would make callers wait as long for their refusal. */
const MAX_RECONNECT_MS = 500;
const CONNECT_TIMEOUT_MS = 2000;
/** Redis answers in milliseconds; one that is stopped or cut off without a reset would otherwise hang its callers. */
const COMMAND_TIMEOUT_MS = 3000;
/** A Redis that is away says so at every try to reconnect; the log needs it once in a while. */
const REPEAT_LOG_MS = 30_000;

/** Rejects within seconds, usually within milliseconds, while Redis is away; works again when it is back. */
export function producerConnection(url: string, log: Log): Redis {
  return connect(url, { maxRetriesPerRequest: 1, commandTimeout: COMMAND_TIMEOUT_MS }, log);
}

/** Waits for Redis for as long as it takes, as BullMQ asks of its workers. */
export function workerConnection(url: string, log: Log): Redis {
  return connect(url, { maxRetriesPerRequest: null, autoResubscribe: false }, log);
}

type Own = Pick<RedisOptions, 'maxRetriesPerRequest' | 'commandTimeout' | 'autoResubscribe'>;

function connect(url: string, options: Own, log: Log): Redis {
  const redis = new Redis(url, {
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (times: number) => Math.min(times * 50, MAX_RECONNECT_MS),
    ...options,
  });
  redis.on('error', (error) => log('Redis connection', error));
  return redis;
}

/** Passes an error on unless the same one was passed on within {@link REPEAT_LOG_MS}. */
export function withoutRepeats(log: Log): Log {
  const last = new Map<string, number>();
  return (message, error) => {
    const now = Date.now();
    for (const [text, at] of last) if (now - at >= REPEAT_LOG_MS) last.delete(text);
    const text = String(error);
    if (last.has(text)) return;
    last.set(text, now);
    log(message, error);
  };
}
