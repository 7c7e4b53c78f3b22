/** The L1: reachable, the right chain, the contracts there, blobs to be had, clocks agreeing. */
import type { ChainConfig } from '../../genesis/chain.ts'
import { messageOf } from '../../node/base/errors.ts'
import type { NodeOptions } from '../../node/options.ts'
import { rpcTo } from '../cli/rpc.ts'
import { type Finding, ok, warn, wrong } from './examine.ts'
import { examineOwners } from './owners.ts'

const TIMEOUT_MS = 5_000
/** Ethereum refuses blocks further ahead than this; so do we. */
const CLOCK_SKEW_S_MAX = 15
/** An L1 head older than this is a node that does not follow. */
const HEAD_AGE_S_MAX = 300

export async function examineL1(
  options: NodeOptions,
  config: ChainConfig | null,
): Promise<Finding[]> {
  const endpoints = await Promise.all(options.l1Rpc.map((url) => examineRpc(url, config)))
  const beacons = options.l1Beacon.length > 0 ? options.l1Beacon : options.l1Rpc
  const blobs = await Promise.all(beacons.map((url) => examineBeacon(url)))
  return [
    ...endpoints.flat(),
    ...agreement(options),
    ...(await owners(options, config, endpoints)),
    ...blobs,
    ...(await forwarding(options, config)),
  ]
}

/** As the first endpoint of the right L1 says; `found`: of each endpoint. */
async function owners(
  { l1Rpc }: NodeOptions,
  config: ChainConfig | null,
  found: readonly (readonly Finding[])[],
): Promise<Finding[]> {
  const url = l1Rpc.find((_, i) =>
    found[i]?.some(({ name, state }) => name === 'l1 genesis' && state === 'ok'),
  )
  return config && url ? examineOwners(url, config) : []
}

/** With one endpoint, L1 is what it says it is. */
function agreement({ l1Rpc, l1Quorum }: NodeOptions): Finding[] {
  const { size } = new Set(l1Rpc)
  if (size < l1Quorum) {
    const remedy = 'name more endpoints with --l1-rpc, or lower --l1-quorum'
    return [wrong('l1 agreement', `${size} endpoints, and ${l1Quorum} must agree`, remedy)]
  }
  if (size > 2) return [ok('l1 agreement', `${size} endpoints are compared`)]
  const detail = size === 1 ? 'one endpoint: its word is taken' : 'two endpoints: they can disagree'
  return [warn('l1 agreement', detail, 'name three endpoints of different operators with --l1-rpc')]
}

async function examineRpc(url: string, config: ChainConfig | null): Promise<Finding[]> {
  const rpc = rpcTo(url)
  const name = 'l1'
  try {
    const chainId = Number(await rpc<string>('eth_chainId'))
    if (config && chainId !== config.l1ChainId) {
      const remedy = 'use an L1 of that chain, or the rollup.json of this one'
      const detail = `${url} is chain ${chainId}, the configuration wants ${config.l1ChainId}`
      return [wrong(name, detail, remedy)]
    }
    const head = await rpc<{ number: string; timestamp: string }>(
      'eth_getBlockByNumber',
      'latest',
      false,
    )
    const findings = [ok(name, `${url}, chain ${chainId}, block ${Number(head.number)}`)]
    findings.push(clock(Number(head.timestamp)))
    if (config) findings.push(await anchor(url, config))
    return findings
  } catch (error) {
    const remedy = 'start it, mend --l1-rpc, or look at firewall and credentials'
    return [wrong(name, messageOf(error), remedy)]
  }
}

/** `seconds` is the time of the newest L1 block, which nobody can make ahead of time. */
function clock(seconds: number): Finding {
  const age = Math.floor(Date.now() / 1000) - seconds
  if (age < -CLOCK_SKEW_S_MAX) {
    const remedy = 'set the clock: timedatectl set-ntp true'
    return wrong('clock', `this machine's clock is ${-age} s behind L1`, remedy)
  }
  if (age > HEAD_AGE_S_MAX) {
    const remedy = "wait until it follows its chain, or set this machine's clock (timedatectl)"
    return warn('clock', `the newest L1 block is ${age} s old by this machine's clock`, remedy)
  }
  return ok('clock', `agrees with L1 (its newest block is ${Math.max(0, age)} s old)`)
}

/** The block that the L2 begins at, and the portal. */
async function anchor(url: string, config: ChainConfig): Promise<Finding> {
  const rpc = rpcTo(url)
  const { number, hash } = config.genesis.l1
  const block = await rpc<{ hash: string } | null>(
    'eth_getBlockByNumber',
    `0x${number.toString(16)}`,
    false,
  )
  const remedy = 'this is another network of the same chain id: use its rollup.json'
  if (block === null) {
    return wrong('l1 genesis', `${url} has no block ${number}, where the L2 begins`, remedy)
  }
  if (block.hash !== hash) {
    return wrong('l1 genesis', `block ${number} is ${block.hash}, configured ${hash}`, remedy)
  }
  const code = await rpc<string>('eth_getCode', config.portal, 'latest')
  if (code === '0x') return wrong('l1 genesis', `no portal at ${config.portal}`, remedy)
  return ok('l1 genesis', `block ${number} and the portal are there`)
}

async function examineBeacon(url: string): Promise<Finding> {
  const remedy = 'give --l1-beacon a beacon node that serves /eth/v1/beacon/blobs (Fusaka or later)'
  try {
    // There always is a finalized block, and one without blobs is an empty list.
    const target = `${url.replace(/\/$/, '')}/eth/v1/beacon/blobs/finalized`
    const response = await fetch(target, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    await response.body?.cancel()
    if (response.ok) return ok('beacon', `${url} serves blobs`)
    return wrong('beacon', `${url} has no blobs: HTTP ${response.status}`, remedy)
  } catch (error) {
    const cause = error instanceof Error && error.cause ? error.cause : error
    return wrong('beacon', `${url} does not answer: ${messageOf(cause)}`, remedy)
  }
}

async function forwarding(
  { role, sequencerRpc }: NodeOptions,
  config: ChainConfig | null,
): Promise<Finding[]> {
  if (role === 'sequencer') return []
  if (sequencerRpc === null) {
    return [ok('sequencer', 'none configured: transactions go by gossip')]
  }
  try {
    const chainId = Number(await rpcTo(sequencerRpc)<string>('eth_chainId'))
    if (!config || chainId === config.l2ChainId) return [ok('sequencer', sequencerRpc)]
    const detail = `${sequencerRpc} is chain ${chainId}, ours is ${config.l2ChainId}`
    return [wrong('sequencer', detail, 'mend --sequencer-rpc')]
  } catch (error) {
    return [warn('sequencer', messageOf(error), 'mend --sequencer-rpc, or wait for it')]
  }
}
