import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../../src/config.js';
import { requireKeys } from '../../src/exposure.js';

const none = { any: async () => false };
const some = { any: async () => true };

test('bound to other machines without a key, the server refuses to start', async () => {
  for (const HOST of ['0.0.0.0', '::', '192.168.1.2', 'example.org', '127.0.0.1.example.org']) {
    await assert.rejects(requireKeys(readConfig({ HOST }), none), /EMR_API_KEYS/, HOST);
    await assert.rejects(requireKeys(readConfig({ HOST, EMR_API_KEYS: ' , ' }), none), /EMR_API_KEYS/, HOST);
    await requireKeys(readConfig({ HOST, EMR_API_KEYS: 'key' }), none);
    await requireKeys(readConfig({ HOST }), some);
  }
  for (const HOST of ['127.0.0.1', '::1', 'localhost']) await requireKeys(readConfig({ HOST }), none);
});
