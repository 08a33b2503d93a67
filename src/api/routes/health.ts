import { z } from 'zod';
import { EmrError, toEmrError } from '../../errors.js';
import type { Services } from '../../services.js';
import { refusals } from '../schemas/common.js';
import type { Api } from '../types.js';

const ok = z.object({ status: z.literal('ok') });

export function healthRoutes(app: Api, { store, queue }: Services): void {
  app.get(
    '/healthz',
    { config: { scope: 'open' }, schema: { tags: ['health'], summary: 'The process answers', response: { 200: ok } } },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      config: { scope: 'open' },
      schema: { tags: ['health'], summary: 'Store and queue can be used', response: { 200: ok, ...refusals(503) } },
    },
    async () => {
      const checks = await Promise.allSettled([store.check(), queue.check()]);
      const failed = checks.flatMap((check, i) =>
        check.status === 'rejected' ? [`${['store', 'queue'][i]}: ${toEmrError(check.reason).code}`] : [],
      );
      if (failed.length > 0) throw new EmrError('not_ready', failed.join(', '), { failed });
      return { status: 'ok' as const };
    },
  );
}
