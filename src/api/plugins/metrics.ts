import fp from 'fastify-plugin';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { WorkQueue } from '../../queue/types.js';

/** `GET /metrics` for Prometheus: the process, requests by route, and the queue. */
export const metrics = fp<{ queue: Pick<WorkQueue, 'counts'> }>(
  async (app, { queue }) => {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const seconds = new Histogram({
      name: 'emr_http_request_seconds',
      help: 'Time to the end of the response, by route.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600],
      registers: [registry],
    });
    new Gauge({
      name: 'emr_queue_merges',
      help: 'Merges in the queue, by state.',
      labelNames: ['state'],
      registers: [registry],
      async collect() {
        const counts = await queue.counts().catch(() => undefined);
        if (counts === undefined) return;
        this.set({ state: 'waiting' }, counts.waiting);
        this.set({ state: 'active' }, counts.active);
      },
    });
    app.onRequestEnd((request, reply) => {
      // The route's pattern, never the URL: label values must stay few.
      const route = request.routeOptions.url ?? 'none';
      seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
    });
    app.get('/metrics', { config: { scope: 'open' }, schema: { hide: true } }, async (_request, reply) => {
      return reply.type(registry.contentType).send(await registry.metrics());
    });
  },
  { name: 'metrics', dependencies: ['request-end'] },
);
