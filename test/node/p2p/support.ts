/**
 * Builders for p2p tests: small signed chains, a follower's chain in memory, real nodes on 127.0.0.1,
 * and waiting for a condition without guessing how long it takes.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import { type Hex, keccakHex, ZERO_ADDRESS, ZERO_HASH } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import { silentLog } from '../../../node/base/log.ts'
import {
  createBlock,
  EMPTY_BLOOM,
  EMPTY_OMMERS_HASH,
  EMPTY_REQUESTS_HASH,
  encodeBlock,
  transactionsRoot,
  ZERO_NONCE,
} from '../../../node/chain/block.ts'
import type { Block } from '../../../node/chain/types.ts'
import { P2P, type P2PModules } from '../../../node/p2p/node.ts'
import { DEFAULT_OPTIONS, type P2POptions } from '../../../node/p2p/options.ts'
import { signBlock } from '../../../node/p2p/signature.ts'
import type { SyncChain } from '../../../node/p2p/syncer.ts'
import type { SignedBlock, VerifiedBlock } from '../../../node/p2p/types.ts'

export const CHAIN_ID = 4242n
export const SEQUENCER_KEY: Uint8Array = new Uint8Array(32).fill(7)
export const STRANGER_KEY: Uint8Array = new Uint8Array(32).fill(8)
export const SEQUENCER: Hex = addressOfKey(SEQUENCER_KEY)
/** All nodes of a test agree on the time. */
export const NOW_S = 1_800_000_000n

export function makeBlock(
  number: bigint,
  options: { parentHash?: Hex; timestamp?: bigint; salt?: number; dataBytes?: number } = {},
): Block {
  const data = new Uint8Array(options.dataBytes ?? 8).fill(options.salt ?? 1)
  const transactions = [Uint8Array.of(2, ...Uint8Array.of(options.salt ?? 0)), data.fill(2, 0, 1)]
  return createBlock(
    {
      parentHash: options.parentHash ?? ZERO_HASH,
      ommersHash: EMPTY_OMMERS_HASH,
      coinbase: ZERO_ADDRESS,
      stateRoot: ZERO_HASH,
      transactionsRoot: transactionsRoot(transactions),
      receiptsRoot: ZERO_HASH,
      logsBloom: EMPTY_BLOOM,
      difficulty: 0n,
      number,
      gasLimit: 30_000_000n,
      gasUsed: 0n,
      timestamp: options.timestamp ?? NOW_S,
      extraData: new Uint8Array(),
      mixHash: ZERO_HASH,
      nonce: ZERO_NONCE,
      baseFeePerGas: 1n,
      withdrawalsRoot: ZERO_HASH,
      blobGasUsed: 0n,
      excessBlobGas: 0n,
      parentBeaconBlockRoot: ZERO_HASH,
      requestsHash: EMPTY_REQUESTS_HASH,
    },
    transactions,
  )
}

/** Blocks 1 to `length`, linked. */
export function makeChain(length: number, options: { salt?: number } = {}): Block[] {
  const chain: Block[] = []
  for (let number = 1n; number <= length; number++) {
    chain.push(makeBlock(number, { ...options, parentHash: chain.at(-1)?.hash ?? ZERO_HASH }))
  }
  return chain
}

export function sign(block: Block, key: Uint8Array = SEQUENCER_KEY): SignedBlock {
  const bytes = encodeBlock(block)
  return { block: bytes, signature: signBlock(key, CHAIN_ID, bytes) }
}

export function verified(block: Block): VerifiedBlock {
  return { ...sign(block), decoded: block }
}

/** A chain in memory that takes blocks in order; the simplest importer there is. */
export class MemoryChain implements SyncChain {
  readonly blocks: SignedBlock[] = []
  readonly hashes: Hex[] = [ZERO_HASH]

  constructor(blocks: readonly Block[] = []) {
    for (const block of blocks) this.append(sign(block), block)
  }

  append(signed: SignedBlock, block: Block): void {
    this.blocks.push(signed)
    this.hashes.push(block.hash)
  }

  head = (): bigint => BigInt(this.blocks.length)
  floor = (): bigint => 0n

  importBlock: SyncChain['importBlock'] = async ({ decoded, ...signed }) => {
    if (this.hashes.includes(decoded.hash)) return { kind: 'known' }
    if (decoded.header.parentHash !== this.hashes.at(-1)) return { kind: 'unknown-parent' }
    this.append(signed, decoded)
    return { kind: 'imported' }
  }

  blocksByRange = (start: bigint, count: number): SignedBlock[] =>
    this.blocks.slice(Number(start) - 1, Number(start) - 1 + count)
}

/** Content in memory. */
export function contentOf(...pieces: readonly Uint8Array[]): P2PModules['content'] {
  const byHash = new Map(pieces.map((bytes) => [keccakHex(bytes), bytes]))
  return {
    size: async (hash) => byHash.get(hash)?.length,
    read: async (hash, offset, length) =>
      (byHash.get(hash) as Uint8Array).subarray(offset, offset + length),
  }
}

type Teardown = { teardown(fn: () => Promise<void>): void }

/** A started node that stops with the test. */
export async function startNode(
  t: Teardown,
  modules: Partial<P2PModules> = {},
  options: Partial<P2POptions> = {},
): Promise<P2P> {
  const node = await P2P.create(
    {
      ...DEFAULT_OPTIONS,
      heartbeatMs: 100,
      reconnectMs: 50,
      syncRetryMs: 50,
      discoveryMs: 50,
      ...options,
    },
    {
      chainId: CHAIN_ID,
      signer: () => SEQUENCER,
      blocksByRange: () => [],
      content: contentOf(),
      log: silentLog,
      clock: () => Number(NOW_S) * 1000,
      ...modules,
    },
  )
  await node.start()
  t.teardown(() => node.stop())
  return node
}

/** Can connect and open streams, and does nothing by itself: an attacker, or a pair for a stream. */
export async function startBare(t: { teardown(fn: () => Promise<void>): void }): Promise<Libp2p> {
  const bare = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 1024 * 1024 } })],
  })
  t.teardown(async () => bare.stop())
  return bare
}

export function addressesOf(...nodes: readonly P2P[]): string[] {
  return nodes.map((node) => node.multiaddrs()[0] as string)
}

/** Looks every few milliseconds; fails loudly after `limitMs`. */
export async function until(
  what: string,
  condition: () => boolean,
  limitMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0
}
