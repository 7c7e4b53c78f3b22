/**
 * The nouns of `eth_simulateV1`: what is asked, what comes back, what differs between a rollup and plain Ethereum,
 * and the error codes of the execution-apis (-38010 to -38026).
 */
import type { Hex } from '../base/bytes.ts'
import type { TxErrorCode } from './errors.ts'
import type { AncestorHash, Machine } from './machine.ts'
import type { Message, MessageResult } from './message.ts'
import type { BlockOverrides, StateOverrides } from './overrides.ts'
import type { ChainRules } from './rules.ts'
import type { StateReader, WorldState } from './state.ts'
import type { EthereumBlock, EthereumHeader as Header, Log, Receipt, Withdrawal } from './types.ts'

/** One transaction of a simulated block. Gas and nonce follow from the state when they are left out. */
export type SimulatedCall = {
  readonly from?: Hex
  readonly to?: Hex | null
  readonly data?: Uint8Array
  readonly value?: bigint
  readonly gas?: bigint
  readonly nonce?: bigint
  readonly gasPrice?: bigint
  readonly maxFeePerGas?: bigint
  readonly maxPriorityFeePerGas?: bigint
  readonly maxFeePerBlobGas?: bigint
  readonly accessList?: Message['accessList']
  readonly authorizationList?: Message['authorizationList']
  readonly blobVersionedHashes?: readonly Hex[]
}

export type BlockStateCall = {
  readonly block?: BlockOverrides
  readonly state?: StateOverrides
  readonly calls: readonly SimulatedCall[]
}

export type SimulationRules = {
  readonly chain: ChainRules
  /** Seconds to the next block when nobody says. */
  readonly blockTime: bigint
  readonly ancestorHash?: AncestorHash
  /** What a header of this height has beside what is simulated; only the parent is known. */
  template(parent: Header, at: { number: bigint; timestamp: bigint }): Header
  /** Before the first call. */
  begin(state: WorldState, header: Header): void
  /** After the last call: withdrawals, requests. The header fields that follow. */
  close(
    machine: Machine,
    block: { header: Header; withdrawals: readonly Withdrawal[]; receipts: readonly Receipt[] },
  ): Promise<Partial<Header>>
  /** Header fields that follow from the state. */
  seal(storageRootOf: (address: Hex) => Uint8Array): Partial<Header>
}

export type SimulationInput = {
  readonly rules: SimulationRules
  /** The block everything stands on, and its state. */
  readonly base: Header
  readonly reader: StateReader
  readonly blocks: readonly BlockStateCall[]
  /** Nonces and fees count, as for a real block. */
  readonly validation: boolean
  /** Native transfers show as ERC-20 logs of 0xeeee…eeee (ERC-7528). */
  readonly traceTransfers: boolean
  readonly limits: { readonly gasMax: bigint; readonly blocksMax: number }
  readonly tick?: () => void
}

export type SimulatedTx = {
  readonly hash: Hex
  readonly raw: Uint8Array
  readonly type: 0 | 1 | 2 | 3 | 4
  readonly nonce: bigint
  readonly message: Message
}

export type SimulatedResult = Pick<
  MessageResult,
  'gasUsed' | 'gasPeak' | 'error' | 'returnData'
> & {
  readonly logs: readonly SimulatedLog[]
}

export type SimulatedLog = { readonly log: Log; readonly logIndex: number }

export type SimulatedBlock = {
  readonly block: EthereumBlock
  readonly transactions: readonly SimulatedTx[]
  readonly results: readonly SimulatedResult[]
}

/** Ends the simulation; nothing of it counts. */
export class SimulationError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.name = 'SimulationError'
    this.code = code
  }
}

/** execution-apis, eth_simulateV1. */
export const SIMULATION_CODES = {
  invalid: -32000,
  internal: -32603,
  nonceTooLow: -38010,
  nonceTooHigh: -38011,
  baseFeeTooLow: -38012,
  intrinsicGas: -38013,
  insufficientFunds: -38014,
  blockGasLimit: -38015,
  blockNumberOrder: -38020,
  timestampOrder: -38021,
  initcodeSize: -38025,
  limit: -38026,
} as const

export const TX_CODES: Partial<Record<TxErrorCode, number>> = {
  'nonce-too-low': SIMULATION_CODES.nonceTooLow,
  'nonce-too-high': SIMULATION_CODES.nonceTooHigh,
  'fee-below-base-fee': SIMULATION_CODES.baseFeeTooLow,
  'tip-above-fee-cap': -32602,
  'intrinsic-gas': SIMULATION_CODES.intrinsicGas,
  'insufficient-funds': SIMULATION_CODES.insufficientFunds,
  'initcode-size': SIMULATION_CODES.initcodeSize,
}
