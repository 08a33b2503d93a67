import { z } from 'zod';

/** What is sent piece by piece; nothing checks it on its way out but the tests. */
export const verificationView = z
  .object({
    files: z.array(
      z.object({
        path: z.string(),
        bytes: z.int().describe('As recorded.'),
        sha256: z.string().describe('As recorded.'),
        state: z.enum(['ok', 'differs', 'missing', 'unreadable']),
        found: z
          .object({ bytes: z.int(), sha256: z.string() })
          .optional()
          .describe('Where it differs and could be read.'),
        code: z.string().optional().describe('Why it could not be read.'),
      }),
    ),
    ok: z.boolean().describe('Whether every file is as it was recorded.'),
    bad: z.int().describe('How many files are not.'),
    bytes: z.int().describe('Of all files, as recorded.'),
  })
  .meta({ id: 'Verification' });
