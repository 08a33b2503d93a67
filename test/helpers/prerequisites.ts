import { chromium } from './chromium.js';
import { python } from './python.js';
import { privateRedis } from './redis.js';
import { ensureVersitygw } from './versitygw.js';

/**
 * Brings what tests need beyond Node, so that it is there before they start side by side. Returns what cannot be had
 * here, each with the command that would bring it; the tests that need it are then skipped.
 */
export async function prerequisites(say: (line: string) => void): Promise<string[]> {
  const missing: string[] = [];
  for (const [name, bring] of [
    ['Redis', bringRedis],
    ['S3 server', bringS3],
    ['Python', python],
    ['Chromium', bringChromium],
  ] as const) {
    const started = performance.now();
    const found = await bring().catch((error: unknown) => ({ skip: String(error) }));
    if ('skip' in found) missing.push(found.skip);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${name}: ${'skip' in found ? found.skip : 'here'} (${seconds} s)`);
  }
  return missing;
}

async function bringRedis(): Promise<object | { readonly skip: string }> {
  const server = await privateRedis();
  if (!('skip' in server)) await server.stop();
  return server;
}

async function bringS3(): Promise<object | { readonly skip: string }> {
  if (process.env.S3_TEST_ENDPOINT) return {};
  const binary = await ensureVersitygw();
  return typeof binary === 'string' ? {} : binary;
}

async function bringChromium(): Promise<object | { readonly skip: string }> {
  const browser = await chromium();
  if (!('skip' in browser)) await browser.close();
  return browser;
}
