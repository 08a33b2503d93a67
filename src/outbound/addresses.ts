import { BlockList, isIP } from 'node:net';
import { EmrError } from '../errors.js';

/** An IP address, as `dns.lookup` gives it. */
export interface Address {
  readonly address: string;
  readonly family: number;
}

/**
 * What is no address of the public Internet, by the registries of special-purpose addresses (RFC 6890 and its updates):
 * this network, private, carrier-grade NAT, loopback, link-local with the metadata services of clouds, documentation,
 * benchmarks, relays, multicast, reserved. Last, a public one that within Azure is the host machine.
 */
const SPECIAL_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '168.63.129.16/32',
];

/**
 * Of IPv6 only global unicast is public. That leaves out loopback, unique local, link-local, multicast, IPv4 within IPv6
 * (mapped, compatible) and NAT64, behind which any IPv4 address may lie.
 */
const GLOBAL_V6 = ['2000::/3'];
/** Within it: protocol assignments (Teredo among them), documentation, 6to4. */
const SPECIAL_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

const special = networkList([...SPECIAL_V4, ...SPECIAL_V6]);
const globalV6 = networkList(GLOBAL_V6);

/** A set of networks in CIDR notation; throws an Error that names the one that is none. */
export function networkList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [, address = '', bits = ''] = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(network) ?? [];
    const family = isIP(address);
    if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) throw new Error(`${network} is no network`);
    list.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

export function isPublic(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !special.check(address, 'ipv4');
  return family === 6 && isInside(globalV6, address) && !isInside(special, address);
}

/** `outbound_not_allowed` unless every address is public or lies in a network that is allowed. */
export function requireAllowed(host: string, addresses: readonly Address[], allowed: BlockList): void {
  const refused = addresses.find(({ address }) => !isPublic(address) && !isInside(allowed, address));
  if (refused === undefined) return;
  // Which address it is would tell a stranger about the network here.
  throw new EmrError('outbound_not_allowed', `${host} has an address that this server does not call.`, { host });
}

/** An address with a zone (`fe80::1%eth0`) is in no list. */
function isInside(list: BlockList, address: string): boolean {
  if (address.includes('%')) return false;
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
