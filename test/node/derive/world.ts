/**
 * A small world for derivation tests: an L1 that is only data, a sequencer that follows the protocol,
 * and an "execution" whose block hash is the hash of its attributes. Everything is made from a few
 * numbers, so that a property test can draw a whole history.
 */
import { OP } from '../../../genesis/addresses.ts'
import type { ChainConfig } from '../../../genesis/chain.ts'
import {
  bigintToBytes,
  concatBytes,
  fromHex,
  type Hex,
  keccakHex,
  utf8,
} from '../../../node/base/bytes.ts'
import {
  depositOnly,
  deriveAttributes,
  type NextAttributes,
} from '../../../node/derive/attributes.ts'
import { encodeBatches, type SingularBatch } from '../../../node/derive/batch.ts'
import { type Compression, compressChannel } from '../../../node/derive/compression.ts'
import { TRANSACTION_DEPOSITED } from '../../../node/derive/deposits.ts'
import {
  type Checkpoint,
  checkpointOf,
  createDeriver,
  type DeriverState,
  genesisCheckpoint,
  step,
} from '../../../node/derive/derive.ts'
import { encodePayload, type Frame } from '../../../node/derive/frame.ts'
import { nextOrigin } from '../../../node/derive/origin.ts'
import { applyConfigLogs, CONFIG_UPDATE } from '../../../node/derive/system-config.ts'
import type { DerivedAttributes, L2Ref, TraceEntry } from '../../../node/derive/types.ts'
import type { InboxData, L1BlockData, L1Log } from '../../../node/l1/types.ts'

export const hashOf = (text: string): Hex => keccakHex(utf8(text))
export const BATCHER: Hex = '0x00000000000000000000000000000000000000ba'
const PORTAL: Hex = '0x00000000000000000000000000000000000f0f0f'
export const SYSTEM_CONFIG: Hex = '0x00000000000000000000000000000000000f0f1f'
const L1_START = 100n
const L1_TIME = 1_700_000_000n

export function testConfig(overrides: Partial<ChainConfig> = {}): ChainConfig {
  return {
    l1ChainId: 900,
    l2ChainId: 901,
    genesis: {
      l1: { hash: hashOf(`l1 ${L1_START}`), number: L1_START },
      l2: { hash: hashOf('l2 genesis'), number: 0n },
      l2Time: L1_TIME,
      systemConfig: {
        batcher: BATCHER,
        gasLimit: 30_000_000n,
        baseFeeScalar: 1368,
        blobBaseFeeScalar: 810_949,
        eip1559Denominator: 250,
        eip1559Elasticity: 6,
        unsafeBlockSigner: '0x00000000000000000000000000000000000000bb',
      },
    },
    blockTime: 2n,
    maxSequencerDrift: 60n,
    seqWindowSize: 10n,
    channelTimeout: 5n,
    batchInbox: '0xff00000000000000000000000000000000000901',
    portal: PORTAL,
    l1SystemConfig: SYSTEM_CONFIG,
    l1Contracts: {},
    ...overrides,
  }
}

/** An L1 chain from the genesis block on; `gaps` are the seconds between blocks. */
export function makeL1(
  gaps: readonly number[],
  options: { branch?: string; deposits?: (index: number) => number } = {},
): L1BlockData[] {
  const name = (number: bigint) =>
    number === L1_START ? `l1 ${number}` : `l1 ${number} ${options.branch ?? ''}`
  let timestamp = L1_TIME
  return [0, ...gaps].map((gap, index) => {
    const number = L1_START + BigInt(index)
    timestamp += BigInt(gap)
    const logs = index === 0 ? 0 : (options.deposits?.(index) ?? 0)
    return {
      hash: hashOf(name(number)),
      number,
      parentHash: index === 0 ? hashOf('before') : hashOf(name(number - 1n)),
      timestamp,
      baseFee: 7n + BigInt(index),
      blobBaseFee: 1n,
      prevRandao: hashOf(`randao ${name(number)}`),
      parentBeaconBlockRoot: hashOf(`beacon ${name(number)}`),
      inbox: [],
      configLogs: [],
      portalLogs: Array.from({ length: logs }, (_, i) => depositLog(i * 2, BigInt(index))),
    }
  })
}

export function depositLog(logIndex: number, mint: bigint): L1Log {
  const opaque = concatBytes(
    bigintToBytes(mint, 32),
    bigintToBytes(mint, 32),
    bigintToBytes(100_000n, 8),
    Uint8Array.of(0),
  )
  const padding = new Uint8Array((32 - (opaque.length % 32)) % 32)
  const word = (value: bigint) => bigintToBytes(value, 32)
  return {
    address: PORTAL,
    topics: [
      TRANSACTION_DEPOSITED,
      `0x${'00'.repeat(12)}${'11'.repeat(20)}`,
      `0x${'00'.repeat(12)}${OP.l1Block.slice(2)}`,
      `0x${'00'.repeat(32)}`,
    ],
    data: concatBytes(word(32n), word(BigInt(opaque.length)), opaque, padding),
    logIndex,
  }
}

/** Stands in for execution: same attributes on the same parent, same hash. */
export function execute(derived: Pick<DerivedAttributes, 'parent' | 'attributes'>): Hex {
  const { attributes, parent } = derived
  return keccakHex(
    fromHex(parent.hash),
    bigintToBytes(attributes.timestamp, 8),
    fromHex(attributes.prevRandao),
    bigintToBytes(attributes.gasLimit, 8),
    bigintToBytes(BigInt(attributes.eip1559Elasticity), 8),
    ...attributes.transactions.map((tx) => fromHex(keccakHex(tx))),
  )
}

export type L2Block = {
  readonly ref: L2Ref
  readonly made: NextAttributes
  readonly batch: SingularBatch
}

/** A sequencer that builds blocks as long as it knows L1, each with the transactions it is given. */
export function sequence(
  config: ChainConfig,
  l1: readonly L1BlockData[],
  transactions: readonly (readonly Uint8Array[])[],
): L2Block[] {
  const blocks: L2Block[] = []
  let parent = genesisCheckpoint(config).safe
  let parentSystem = config.genesis.systemConfig
  for (const own of transactions) {
    const at = l1.findIndex((block) => block.hash === parent.l1Origin.hash)
    const [epoch, nextEpoch] = l1.slice(at)
    if (!epoch) break
    const next = nextOrigin({ config, parent, epoch, nextEpoch })
    if (next.kind === 'wait') break
    const batchTxs = next.empty ? [] : own
    const { origin } = next
    const made = deriveAttributes({ config, parent, parentSystem, origin, transactions: batchTxs })
    if (origin !== epoch) parentSystem = applyConfigLogs(parentSystem, origin.configLogs).system
    const ref = refOf(made)
    blocks.push({
      ref,
      made,
      batch: {
        parentHash: parent.hash,
        epochNumber: ref.l1Origin.number,
        epochHash: ref.l1Origin.hash,
        timestamp: ref.timestamp,
        transactions: batchTxs,
      },
    })
    parent = ref
  }
  return blocks
}

function refOf(made: NextAttributes): L2Ref {
  return {
    hash: execute(made),
    number: made.parent.number + 1n,
    timestamp: made.attributes.timestamp,
    l1Origin: made.l1Origin,
    sequenceNumber: made.sequenceNumber,
  }
}

export function toFrames(
  batches: readonly SingularBatch[],
  options: { id?: string; frameBytes?: number; compression?: Compression } = {},
): Frame[] {
  const bytes = compressChannel(encodeBatches(batches), options.compression ?? 'zlib')
  const channelId = `0x${hashOf(options.id ?? 'channel').slice(2, 34)}` as const
  const size = options.frameBytes ?? bytes.length
  const count = Math.ceil(bytes.length / size)
  return Array.from({ length: count }, (_, number) => ({
    channelId,
    number,
    data: bytes.subarray(number * size, (number + 1) * size),
    isLast: number === count - 1,
  }))
}

export function calldata(frames: readonly Frame[] | Uint8Array, sender: Hex = BATCHER): InboxData {
  const data = frames instanceof Uint8Array ? frames : encodePayload(frames)
  return { kind: 'calldata', transactionHash: keccakHex(data), sender, data }
}

/** A `ConfigUpdate` log as SystemConfig writes it; `words` are its payload. */
export function configLog(type: number, words: readonly bigint[], logIndex = 0): L1Log {
  const word = (value: bigint) => bigintToBytes(value, 32)
  const topic = (value: bigint): Hex => `0x${value.toString(16).padStart(64, '0')}`
  return {
    address: SYSTEM_CONFIG,
    topics: [CONFIG_UPDATE, topic(0n), topic(BigInt(type))],
    data: concatBytes(word(32n), word(BigInt(words.length * 32)), ...words.map(word)),
    logIndex,
  }
}

/** Puts SystemConfig updates into the L1 block at `index`. */
export function update(l1: L1BlockData[], index: number, ...logs: L1Log[]): void {
  const block = l1[index] as L1BlockData
  l1[index] = { ...block, configLogs: [...block.configLogs, ...logs] }
}

/** Puts data into the inbox of the L1 block at `index`. */
export function post(l1: L1BlockData[], index: number, ...data: InboxData[]): void {
  const block = l1[index] as L1BlockData
  l1[index] = { ...block, inbox: [...block.inbox, ...data] }
}

export type Derivation = {
  derived: DerivedAttributes[]
  safe: L2Ref
  trace: TraceEntry[]
  /** One after each L1 block. */
  checkpoints: Checkpoint[]
  state: DeriverState
}

/** Runs the deriver over L1. `invalid` names blocks whose payload does not execute. */
export function derive(
  config: ChainConfig,
  l1: readonly L1BlockData[],
  options: { from?: Checkpoint; invalid?: (derived: DerivedAttributes) => boolean } = {},
): Derivation {
  let state = createDeriver(config, options.from ?? genesisCheckpoint(config))
  const derived: DerivedAttributes[] = []
  const trace: TraceEntry[] = []
  const checkpoints: Checkpoint[] = []
  for (const block of l1.filter((candidate) => candidate.number >= state.next)) {
    let done = step(state, { kind: 'l1', block })
    for (;;) {
      trace.push(...done.trace)
      state = done.state
      if (done.output.kind !== 'attributes') break
      const wanted = done.output.derived
      const isInvalid = options.invalid?.(wanted) ?? false
      const executed = isInvalid ? depositOnly(wanted) : wanted
      derived.push(executed)
      done = step(state, { kind: 'executed', hash: execute(executed), depositOnly: isInvalid })
    }
    if (done.output.kind === 'reorg') throw new Error('the test gave a broken L1')
    if (block.number >= state.resumed.number) checkpoints.push(checkpointOf(state))
  }
  return { derived, safe: state.safe, trace, checkpoints, state }
}
