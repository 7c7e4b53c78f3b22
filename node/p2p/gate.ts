/**
 * Who may connect at all, by peer id and by address: what the operator allows and denies, before any
 * protocol runs. Bans for conduct are the ledger's (`ledger.ts`); both meet in libp2p's connection
 * gater (`host.ts`).
 *
 *   dial, or inbound socket -> denied address?            -> refused
 *   after noise             -> denied peer, not allowed?  -> refused
 */
import { BlockList, isIP } from 'node:net'
import type { Multiaddr } from '@multiformats/multiaddr'
import { P2PError } from './errors.ts'
import { GATE_ENTRIES_MAX } from './options.ts'
import type { Peer } from './types.ts'

export type Gate = {
  /** On the deny list: not worth a handshake. */
  deniesAddress(address: Multiaddr): boolean
  /** Known by name now: on no deny list, and on the allow list if there is one. */
  admits(peer: Peer, address: Multiaddr | null): boolean
}

/** Peers and addresses; an address of neither version 4 nor 6 (a DNS name, a relay) matches none. */
class Entries {
  readonly #peers = new Set<Peer>()
  readonly #addresses = new BlockList()
  readonly size: number

  constructor(name: string, entries: readonly string[]) {
    if (entries.length > GATE_ENTRIES_MAX) {
      throw new P2PError(
        'bad-argument',
        `${name} has ${entries.length} entries, at most ${GATE_ENTRIES_MAX}`,
      )
    }
    this.size = entries.length
    for (const entry of entries) this.#add(name, entry)
  }

  #add(name: string, entry: string): void {
    const [ip = '', bits] = entry.split('/')
    const version = isIP(ip)
    const family = version === 6 ? 'ipv6' : 'ipv4'
    const widest = version === 6 ? 128 : 32
    if (version && bits === undefined) this.#addresses.addAddress(ip, family)
    else if (version && /^\d+$/.test(bits ?? '') && Number(bits) <= widest) {
      this.#addresses.addSubnet(ip, Number(bits), family)
    } else if (/^[1-9A-HJ-NP-Za-km-z]{40,64}$/.test(entry)) this.#peers.add(entry)
    else {
      throw new P2PError(
        'bad-address',
        `${name}: '${entry.slice(0, 80)}' is no peer id, IP address or subnet (10.0.0.0/8)`,
      )
    }
  }

  hasPeer(peer: Peer): boolean {
    return this.#peers.has(peer)
  }

  hasAddress(address: Multiaddr): boolean {
    const ip = ipOf(address)
    return ip !== null && this.#addresses.check(ip.value, ip.family)
  }
}

/** @throws P2PError `bad-address` naming an entry that is neither peer, address nor subnet. */
export function createGate(lists: { allow: readonly string[]; deny: readonly string[] }): Gate {
  const allow = new Entries('allow list', lists.allow)
  const deny = new Entries('deny list', lists.deny)
  return {
    deniesAddress: (address) => deny.hasAddress(address),
    admits: (peer, address) => {
      if (deny.hasPeer(peer) || (address && deny.hasAddress(address))) return false
      if (allow.size === 0) return true
      return allow.hasPeer(peer) || (address !== null && allow.hasAddress(address))
    },
  }
}

/** Loopback, private and link-local ranges (RFC 1918, 4193, 3927, 4291). */
const PRIVATE = new Entries('private ranges', [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '::1',
  'fc00::/7',
  'fe80::/10',
])

export function isPrivate(address: Multiaddr): boolean {
  return PRIVATE.hasAddress(address)
}

function ipOf(address: Multiaddr): { value: string; family: 'ipv4' | 'ipv6' } | null {
  const [first] = address.getComponents()
  if (!first?.value || (first.name !== 'ip4' && first.name !== 'ip6')) return null
  return { value: first.value, family: first.name === 'ip4' ? 'ipv4' : 'ipv6' }
}
