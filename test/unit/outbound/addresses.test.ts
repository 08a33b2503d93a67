import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPublic, networkList, requireAllowed } from '../../../src/outbound/addresses.js';

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '2606:4700::1111',
];

/** The first and the last address of each, and what is known by itself. */
const NOT_PUBLIC = [
  ['this network', '0.0.0.0', '0.255.255.255'],
  ['private', '10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255'],
  ['carrier-grade NAT', '100.64.0.0', '100.127.255.255'],
  ['loopback', '127.0.0.0', '127.255.255.255', '::1'],
  ['link-local', '169.254.0.0', '169.254.255.255', 'fe80::', 'fe80::1%eth0', 'febf::1', 'fec0::1'],
  ['metadata', '169.254.169.254', '169.254.170.2', '100.100.100.200', '192.0.0.192', '168.63.129.16', 'fd00:ec2::254'],
  ['assignments', '192.0.0.0', '192.0.0.255', '192.88.99.1', '2001::1', '2001:1ff::1'],
  ['documentation', '192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1'],
  ['benchmarks', '198.18.0.0', '198.19.255.255', '2001:2::1'],
  ['multicast', '224.0.0.0', '239.255.255.255', 'ff00::', 'ff02::1'],
  ['reserved', '240.0.0.0', '255.255.255.255'],
  ['unspecified', '::'],
  ['IPv4 within IPv6', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1', '::127.0.0.1', '::ffff:0:7f00:1'],
  ['NAT64', '64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::1'],
  ['6to4 and Teredo', '2002:7f00:1::', '2002:a00:1::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  ['discard', '100::1'],
  ['unique local', 'fc00::', 'fdff:ffff::1'],
  ['segment routing', '5f00::1'],
  ['no address', '', 'localhost', '1.2.3', '01.1.1.1'],
] as const;

test('addresses of the public Internet are public', () => {
  for (const address of PUBLIC) assert.equal(isPublic(address), true, address);
});

for (const [kind, ...addresses] of NOT_PUBLIC) {
  test(`${kind} is not public`, () => {
    for (const address of addresses) assert.equal(isPublic(address), false, address);
  });
}

test('one address that is not public is enough to refuse a name', () => {
  const refused = { code: 'outbound_not_allowed' };
  const v4 = (address: string) => ({ address, family: 4 });
  const none = networkList([]);
  requireAllowed('a.test', [v4('1.1.1.1'), v4('8.8.8.8')], none);
  assert.throws(() => requireAllowed('a.test', [v4('1.1.1.1'), v4('10.0.0.1')], none), refused);
  requireAllowed('a.test', [v4('1.1.1.1'), v4('10.0.0.1')], networkList(['10.0.0.0/24']));
  assert.throws(() => requireAllowed('a.test', [v4('10.0.1.1')], networkList(['10.0.0.0/24'])), refused);
  assert.throws(
    () => requireAllowed('a.test', [{ address: 'fe80::1%lo', family: 6 }], networkList(['fe80::/10'])),
    refused,
  );
});

test('a refusal does not say which address it was', () => {
  assert.throws(
    () => requireAllowed('a.test', [{ address: '10.1.2.3', family: 4 }], networkList([])),
    (error: Error) => !JSON.stringify({ ...error, message: error.message }).includes('10.1.2.3'),
  );
});

test('a network is an address and a number of bits', () => {
  for (const network of ['10.0.0.0', '10.0.0.0/33', '::1/129', 'x/8', '10.0.0.0/-1', '10.0.0.0/8/8', '']) {
    assert.throws(() => networkList([network]), /is no network/, network);
  }
});
