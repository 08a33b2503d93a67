import { z } from 'zod';
import { describeMethods } from '../../merge/registry.js';
import { methodView } from '../schemas/merge.js';
import type { Api } from '../types.js';

export function methodRoutes(app: Api): void {
  app.get(
    '/v1/methods',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['merges'],
        summary: 'The merging methods and their parameters',
        response: { 200: z.object({ items: z.array(methodView) }) },
      },
    },
    async () => ({ items: describeMethods() }),
  );
}
