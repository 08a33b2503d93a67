import { z } from 'zod';
import { keys } from '../../catalog/keys.js';
import { requireResult } from '../../merge/require-result.js';
import type { Services } from '../../services.js';
import { idOrName, name, refusals } from '../schemas/common.js';
import { verificationView } from '../schemas/verification.js';
import { sendVerification } from '../send-verification.js';
import type { Api } from '../types.js';

const schema = {
  description:
    'Every stored file is read again, and its length and SHA-256 are compared with the record. What is found of each is ' +
    'sent as soon as it is known, with white space in between, in one JSON object: the status is 200 whatever is found.',
  response: { 200: verificationView, ...refusals(400, 404, 409, 503) },
};

/** Whether stored bytes are still those that were written: disks and people change them. */
export function verifyRoutes(app: Api, { checkpoints, merges, sources, store }: Services): void {
  app.post(
    '/v1/checkpoints/:name/verify',
    {
      config: { scope: 'read', place: 'downloads' },
      schema: {
        ...schema,
        tags: ['checkpoints'],
        summary: 'Read all files of a checkpoint again and compare them with their record',
        params: z.strictObject({ name }),
      },
    },
    async ({ params, access }, reply) => {
      const { files } = await checkpoints.get(access.namespace, params.name);
      const recorded = files.map((file) => {
        return { path: file.name, bytes: file.bytes, sha256: file.sha256, open: () => sources.open(file) };
      });
      return sendVerification(reply, recorded);
    },
  );

  app.post(
    '/v1/merges/:id/verify',
    {
      config: { scope: 'read', place: 'downloads' },
      schema: {
        ...schema,
        tags: ['merges'],
        summary: 'Read all artifacts of a merge again and compare them with their record',
        params: z.strictObject({ id: idOrName }),
      },
    },
    async ({ params, access }, reply) => {
      const { id } = await merges.get(access.namespace, params.id);
      const { attempt, artifacts } = requireResult(id, await merges.outcome(access.namespace, id));
      const prefix = keys.attempt(access.namespace, id, attempt);
      const recorded = artifacts.map((artifact) => {
        return { ...artifact, open: () => store.openReader(prefix + artifact.path) };
      });
      return sendVerification(reply, recorded);
    },
  );
}
