/**
 * The state after one block, for readers: accounts, storage, code, EIP-1186 proofs and calls. Old
 * blocks answer as well as the newest, as far back as states are kept (`prune.ts`). A view never changes anything.
 */
import { fromHex, type Hex, keccak, toHex } from '../base/bytes.ts'
import { type AccountRecord, EMPTY_ACCOUNT } from './account.ts'
import { headerHash } from './block.ts'
import {
  type CallContext,
  type CallOptions,
  type CallRequest,
  type CallResult,
  estimateGas,
  type GasEstimate,
  runCall,
} from './call.ts'
import { l1FeeOf } from './fees.ts'
import type { AncestorHash } from './machine.ts'
import type { BlockRules } from './rules.ts'
import { simulate } from './simulate.ts'
import type { SimulatedBlock, SimulationInput, SimulationRules } from './simulation.ts'
import { type StateReader, storageOwner, WorldState } from './state.ts'
import { Trie } from './trie.ts'
import type { EthereumHeader } from './types.ts'

type StorageProof = {
  readonly key: Hex
  readonly value: bigint
  readonly proof: readonly Hex[]
}

export type AccountProof = {
  readonly address: Hex
  readonly account: AccountRecord
  readonly accountProof: readonly Hex[]
  readonly storageProof: readonly StorageProof[]
}

export class StateView {
  readonly header: EthereumHeader
  readonly rules: BlockRules
  readonly #reader: StateReader
  readonly #state: WorldState
  readonly #context: CallContext
  readonly #simulation: SimulationRules

  constructor(args: {
    reader: StateReader
    header: EthereumHeader
    rules: BlockRules
    gasCap: bigint
    simulation: SimulationRules
    ancestorHash?: AncestorHash
  }) {
    const { reader, header, rules, ancestorHash } = args
    this.#simulation = args.simulation
    this.header = header
    this.rules = rules
    this.#reader = reader
    const root = fromHex(header.stateRoot)
    this.#state = new WorldState(reader, root)
    this.#context = {
      rules,
      gasCap: args.gasCap,
      ...(ancestorHash ? { ancestorHash } : {}),
      environment: header,
      blockHash: () => headerHash(header),
      createState: () => new WorldState(reader, root),
    }
  }

  /** null when there is none: nonce 0, balance 0, no code. */
  account(address: Hex): AccountRecord | null {
    return this.#state.account(address)
  }

  /** 32 bytes; `slot` is 32 bytes of hex. */
  storage(address: Hex, slot: Hex): Hex {
    return `0x${toHex(this.#state.slot(address, slot)).slice(2).padStart(64, '0')}`
  }

  code(address: Hex): Uint8Array {
    const account = this.account(address)
    return account ? this.#state.code(account.codeHash) : new Uint8Array(0)
  }

  /** wei that including `raw` costs for L1 data at this block's prices. */
  l1Fee(raw: Uint8Array): bigint {
    const prices = this.rules.l1Prices((address, key) => this.#state.slot(address, key))
    return prices ? l1FeeOf(raw, prices).fee : 0n
  }

  proof(address: Hex, slots: readonly Hex[]): AccountProof {
    const owner = storageOwner(address)
    const trie = new Trie((hash) => this.#reader.node(hash), fromHex(this.header.stateRoot))
    const account = this.account(address) ?? EMPTY_ACCOUNT
    const storage = new Trie((hash) => this.#reader.node(hash, owner), account.storageRoot)
    return {
      address,
      account,
      accountProof: trie.prove(keccak(fromHex(address))).map(toHex),
      storageProof: slots.map((key) => ({
        key,
        value: BigInt(this.storage(address, key)),
        proof: storage.prove(keccak(fromHex(key))).map(toHex),
      })),
    }
  }

  async call(request: CallRequest, options: CallOptions = {}): Promise<CallResult> {
    return runCall(this.#context, request, options)
  }

  async estimateGas(
    request: CallRequest,
    options: Parameters<typeof estimateGas>[2] = {},
  ): Promise<GasEstimate> {
    return estimateGas(this.#context, request, options)
  }

  /** Blocks on top of this one. @throws SimulationError */
  async simulate(
    input: Omit<SimulationInput, 'rules' | 'base' | 'reader'>,
  ): Promise<SimulatedBlock[]> {
    return simulate({ ...input, rules: this.#simulation, base: this.header, reader: this.#reader })
  }
}
