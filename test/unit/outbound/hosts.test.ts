import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_URL_LENGTH, parseAllowedHost, requireHost } from '../../../src/outbound/hosts.js';

const allows = (entry: string, url: string) => {
  try {
    return requireHost(url, [parseAllowedHost(entry)]).href;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('a name stands for https on its usual port, and for nothing else', () => {
  assert.equal(allows('hooks.test', 'https://hooks.test/a?b=c'), 'https://hooks.test/a?b=c');
  assert.equal(allows('hooks.test', 'https://HOOKS.test:443/'), 'https://hooks.test/');
  for (const url of [
    'http://hooks.test/',
    'https://hooks.test:8443/',
    'https://a.hooks.test/',
    'https://hooks.test.evil.test/',
    'https://evilhooks.test/',
    'https://hooks.test./',
    'ftp://hooks.test/',
    'file:///etc/passwd',
    'https://127.0.0.1/',
  ]) {
    assert.equal(allows('hooks.test', url), 'outbound_not_allowed', url);
  }
});

test('ports and plain HTTP are allowed where they are named', () => {
  assert.equal(allows('hooks.test:8443', 'https://hooks.test:8443/'), 'https://hooks.test:8443/');
  assert.equal(allows('hooks.test:8443', 'https://hooks.test/'), 'outbound_not_allowed');
  assert.equal(allows('http://hooks.test', 'http://hooks.test/'), 'http://hooks.test/');
  assert.equal(allows('http://hooks.test', 'https://hooks.test/'), 'outbound_not_allowed');
  assert.equal(allows('HTTP://127.0.0.1:80', 'http://127.0.0.1/'), 'http://127.0.0.1/');
});

test('a wildcard stands for every name below, and not for the name itself', () => {
  assert.equal(allows('*.hooks.test', 'https://a.b.hooks.test/'), 'https://a.b.hooks.test/');
  for (const url of ['https://hooks.test/', 'https://evilhooks.test/', 'https://a.hooks.test.evil.test/']) {
    assert.equal(allows('*.hooks.test', url), 'outbound_not_allowed', url);
  }
});

test('an address is one address, however it is spelled', () => {
  for (const url of ['http://127.1/', 'http://2130706433/', 'http://0x7f.0.0.1/', 'http://0177.0.0.1/']) {
    assert.equal(allows('http://127.0.0.1', url), 'http://127.0.0.1/', url);
    assert.equal(allows('http://10.0.0.1', url), 'outbound_not_allowed', url);
  }
  assert.equal(allows('http://[::1]:81', 'http://[0:0::1]:81/'), 'http://[::1]:81/');
});

test('a URL has no credentials, and is not endless', () => {
  for (const url of ['https://u:p@hooks.test/', 'https://u@hooks.test/', 'https://:p@hooks.test/', 'hooks.test', '']) {
    assert.equal(allows('hooks.test', url), 'invalid_request', url);
  }
  const long = `https://hooks.test/${'a'.repeat(MAX_URL_LENGTH)}`;
  assert.equal(allows('hooks.test', long), 'invalid_request');
});

test('what is no host is refused when the server starts', () => {
  for (const entry of [
    '',
    '*',
    'https://a.test/path',
    'u@a.test',
    'a.test:99999',
    'a..*',
    'ftp://a.test',
    'a b',
    '[::x]',
  ]) {
    assert.throws(() => parseAllowedHost(entry), /is no host/, entry);
  }
});
