import { createHash } from 'node:crypto';
import { STYLE } from './style.js';

const styleHash = createHash('sha256').update(STYLE).digest('base64');

/** Nothing is loaded, nothing runs, nothing is sent, and no other page may frame it; only its own style counts. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${styleHash}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
