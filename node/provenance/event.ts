/**
 * What a provenance event is: something that happened to data, a model or money, as logs of one transaction tell it,
 * and the hashes of the events it follows from. Nobody signs or stores events anywhere: whoever has the chain derives
 * the same ones with the same hashes (genesis/README.md, Provenance).
 *
 *   contributed -> validated -> versioned -> trained -> evaluated -> deployed -> served -> attributed -> paid
 */
import { bigintToBytes, concatBytes, fromHex, type Hex, keccakHex, utf8 } from '../base/bytes.ts'
import { logItem } from '../chain/receipt.ts'
import { encodeRlp } from '../chain/rlp.ts'
import type { Log } from '../chain/types.ts'

/** With their numbers in the encoding. The last three are what undoes or bars others. */
export const KINDS = {
  contributed: 1,
  validated: 2,
  versioned: 3,
  trained: 4,
  evaluated: 5,
  deployed: 6,
  served: 7,
  attributed: 8,
  paid: 9,
  reported: 10,
  resolved: 11,
  erased: 12,
} as const

export type EventKind = keyof typeof KINDS

/** Datanet ids, weights (parts of 2^32) and wei are decimal strings. */
export type Facts = {
  readonly contributed: {
    readonly datanet: string
    readonly contributor: Hex
    readonly rowsRoot: Hex
    readonly contentHash: Hex
    readonly rowCount: number
    readonly isPrivate: boolean
  }
  readonly validated: {
    readonly datanet: string
    readonly rowsRoot: Hex
    readonly isAccepted: boolean
    /** The median, 10,000ths, and of how many. */
    readonly score: number
    readonly scores: number
  }
  readonly versioned: {
    readonly datanet: string
    readonly version: number
    readonly rowsRoot: Hex
    readonly manifestHash: Hex
    readonly rowCount: number
    readonly contributions: number
  }
  readonly trained: {
    readonly model: Hex
    readonly name: string
    readonly owner: Hex
    readonly baseHash: Hex
    readonly adapterHash: Hex
    readonly manifestHash: Hex
  }
  readonly evaluated: {
    readonly model: Hex
    /** Content hash of the job's report; null when its owner names Datanets alone. */
    readonly reportHash: Hex | null
    readonly datanets: readonly { readonly datanet: string; readonly version: number }[]
  }
  /** wei a token. */
  readonly deployed: { readonly model: Hex; readonly rateIn: string; readonly rateOut: string }
  readonly served: {
    readonly receipt: Hex
    readonly model: Hex
    readonly payer: Hex
    readonly provider: Hex
    readonly fee: string
  }
  readonly attributed: {
    readonly receipt: Hex
    /** In payout order. */
    readonly shares: readonly {
      readonly account: Hex
      readonly index: number
      readonly weight: string
      readonly amount: string
    }[]
    /** Nobody scored: what treasuries got instead. */
    readonly treasuries: readonly { readonly account: Hex; readonly amount: string }[]
  }
  readonly paid: {
    readonly receipt: Hex
    /** As they are booked: platform, model owner, stakers, ancestors' owners, contributors or treasuries. */
    readonly payouts: readonly { readonly account: Hex; readonly amount: string }[]
  }
  readonly reported: {
    readonly receipt: Hex
    readonly reporter: Hex
    readonly stage: string
    readonly difference: string
  }
  readonly resolved: { readonly receipt: Hex; readonly isUpheld: boolean }
  readonly erased: { readonly datanet: string; readonly rowsRoot: Hex; readonly contentHash: Hex }
}

type Common = {
  /** Its name: `eventHash`. */
  readonly hash: Hex
  readonly block: { readonly number: bigint; readonly hash: Hex; readonly timestamp: bigint }
  readonly transaction: Hex
  /** Of its first log, within the block, as `eth_getLogs` counts. */
  readonly logIndex: number
  readonly logsHash: Hex
  /** In the order of the chain. */
  readonly predecessors: readonly Hex[]
}

export type ProvenanceEvent = {
  [K in EventKind]: Common & { readonly kind: K; readonly about: Facts[K] }
}[EventKind]

const MAGIC = utf8('OLPE')
const VERSION = Uint8Array.of(1)

export function logsHash(logs: readonly Log[]): Hex {
  return keccakHex(encodeRlp(logs.map(logItem)))
}

/**
 *   OLPE || version u8 || kind u8 || chain id u64 || block u64 || block hash 32 || transaction 32
 *     || first log u32 || logs hash 32 || count u16 || predecessor 32 ...
 */
export function eventHash(
  chainId: number,
  event: Omit<Common, 'hash' | 'block'> & {
    readonly kind: EventKind
    readonly block: { readonly number: bigint; readonly hash: Hex }
  },
): Hex {
  const { kind, block, transaction, logIndex, predecessors } = event
  return keccakHex(
    concatBytes(
      MAGIC,
      VERSION,
      Uint8Array.of(KINDS[kind]),
      bigintToBytes(BigInt(chainId), 8),
      bigintToBytes(block.number, 8),
      fromHex(block.hash),
      fromHex(transaction),
      bigintToBytes(BigInt(logIndex), 4),
      fromHex(event.logsHash),
      bigintToBytes(BigInt(predecessors.length), 2),
      ...predecessors.map(fromHex),
    ),
  )
}
