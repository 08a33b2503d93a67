/**
 * How a cancel reaches the process that runs a job: a broadcast, and a key for whoever was not listening yet. Both name
 * one *instance* of a job (its id and the time it was added), so that they cannot hit the same job added again later.
 */
import type { Redis } from 'ioredis';

/** Outlives the longest gap between a cancel and the next start of a job: back-off and recovery of a dead worker. */
const KEY_SECONDS = 3600;

export interface Cancels {
  announce(redis: Redis, instance: string): Promise<void>;
  /** Calls `cancel` for instances that are announced from now on, and for those of `running()` that were before. */
  listen(subscriber: Redis, reader: Redis, running: () => string[], cancel: (instance: string) => void): void;
  wasAnnounced(redis: Redis, instance: string): Promise<boolean>;
}

export function createCancels(prefix: string, onError: (error: unknown) => void): Cancels {
  const channel = `${prefix}:cancel`;
  const keyOf = (instance: string) => `${prefix}:cancelled:${instance}`;

  async function wasAnnounced(redis: Redis, instance: string): Promise<boolean> {
    return (await redis.exists(keyOf(instance))) === 1;
  }

  return {
    wasAnnounced,

    async announce(redis, instance) {
      // The key first: who starts the job after the broadcast finds it.
      await redis.set(keyOf(instance), '1', 'EX', KEY_SECONDS);
      await redis.publish(channel, instance);
    },

    listen(subscriber, reader, running, cancel) {
      subscriber.on('message', (_channel, instance) => cancel(instance));
      // At every (re)connection: what was broadcast while nobody listened has left its key.
      const catchUp = async () => {
        await subscriber.subscribe(channel);
        for (const instance of running()) if (await wasAnnounced(reader, instance)) cancel(instance);
      };
      subscriber.on('ready', () => void catchUp().catch(onError));
    },
  };
}
