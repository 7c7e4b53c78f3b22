/**
 * `eth_simulateV1`: blocks that nobody signed, on top of one that is there. Each has its overrides, its calls and
 * a header of its own, and stands on the one before; numbers and times that are skipped become empty blocks. The
 * calls go through `runMessage`, so they cost, pay and fail as transactions do.
 *
 *   plan -> per block: header -> overrides -> system writes -> messages -> close -> hash
 *
 * What differs between a rollup and plain Ethereum is handed in (`SimulationRules`).
 */
import { fromHex, type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from '../base/bytes.ts'
import type { NodeOwner } from '../store/trie-row.ts'
import { EMPTY_OMMERS_HASH, headerHash, transactionsRoot, ZERO_NONCE } from './block.ts'
import { bloomOf, mergeBlooms } from './bloom.ts'
import { createMachine, type Machine } from './machine.ts'
import { type Message, type MessageResult, messageFault, runMessage } from './message.ts'
import { applyStateOverrides, type BlockOverrides, type StateOverrides } from './overrides.ts'
import { receiptsRoot } from './receipt.ts'
import { MessageLog, simulatedTx } from './simulate-tx.ts'
import {
  SIMULATION_CODES,
  type SimulatedBlock,
  type SimulatedCall,
  type SimulatedResult,
  type SimulatedTx,
  SimulationError,
  type SimulationInput,
  TX_CODES,
} from './simulation.ts'
import { type StateReader, type StateWrites, WorldState } from './state.ts'
import type { EthereumHeader as Header, Receipt } from './types.ts'

/** EIP-4844. */
const BLOB_GAS = 131_072n

/** @throws SimulationError */
export async function simulate(input: SimulationInput): Promise<SimulatedBlock[]> {
  const { base, limits } = input
  const overlay = new Overlay(input.reader)
  const known = new Map<bigint, Hex>([[base.number, headerHash(base)]])
  const budget = { gasLeft: limits.gasMax }
  const out: SimulatedBlock[] = []
  let parent = base
  let root = fromHex(base.stateRoot)
  for (const planned of plan(input)) {
    const run = new SimulatedRun(input, { planned, parent, known, budget })
    const state = new WorldState(overlay, root)
    const done = await run.execute(state)
    overlay.add(done.writes)
    root = done.writes.stateRoot
    parent = done.block.header
    known.set(parent.number, done.block.hash)
    out.push({ block: done.block, transactions: done.transactions, results: done.results })
    input.tick?.()
  }
  return out
}

type Planned = Required<Pick<BlockOverrides, 'number' | 'timestamp'>> & {
  readonly overrides: BlockOverrides
  readonly state: StateOverrides | undefined
  readonly calls: readonly SimulatedCall[]
}

/** Numbers and times of all blocks, empty ones in the gaps. @throws SimulationError */
function plan({ rules, base, blocks, limits }: SimulationInput): Planned[] {
  const out: Planned[] = []
  let { number, timestamp } = base
  for (const { block: overrides = {}, state, calls } of blocks) {
    const at = overrides.number ?? number + 1n
    if (at <= number) {
      const message = `block numbers must be in order: ${at} <= ${number}`
      throw new SimulationError(SIMULATION_CODES.blockNumberOrder, message)
    }
    if (at - base.number > BigInt(limits.blocksMax)) {
      const message = `too many blocks: ${at - base.number}, at most ${limits.blocksMax}`
      throw new SimulationError(SIMULATION_CODES.limit, message)
    }
    while (number + 1n < at) {
      number += 1n
      timestamp += rules.blockTime
      out.push({ number, timestamp, overrides: {}, state: undefined, calls: [] })
    }
    const time = overrides.timestamp ?? timestamp + rules.blockTime
    if (time <= timestamp) {
      const message = `block timestamps must be in order: ${time} <= ${timestamp}`
      throw new SimulationError(SIMULATION_CODES.timestampOrder, message)
    }
    number = at
    timestamp = time
    out.push({ number, timestamp, overrides, state, calls })
  }
  return out
}

type Place = {
  readonly planned: Planned
  readonly parent: Header
  /** Hashes by number: the base, and what was simulated on it. */
  readonly known: ReadonlyMap<bigint, Hex>
  /** Shared by all blocks. */
  readonly budget: { gasLeft: bigint }
}

/** One block on its way. */
class SimulatedRun {
  readonly #input: SimulationInput
  readonly #at: Place
  readonly #transactions: SimulatedTx[] = []
  readonly #receipts: Receipt[] = []
  readonly #results: SimulatedResult[] = []
  #gasUsed = 0n
  #blobs = 0

  constructor(input: SimulationInput, at: Place) {
    this.#input = input
    this.#at = at
  }

  async execute(state: WorldState): Promise<{
    block: SimulatedBlock['block']
    transactions: SimulatedTx[]
    results: SimulatedResult[]
    writes: StateWrites
  }> {
    const { rules, tick } = this.#input
    const { planned, known } = this.#at
    const { overrides, calls } = planned
    const header = this.#header()
    const { blobBaseFee } = overrides
    const machine = createMachine({
      rules: rules.chain.at(header),
      state,
      environment: { ...header, ...(blobBaseFee === undefined ? {} : { blobBaseFee }) },
      ...(rules.ancestorHash ? { ancestorHash: rules.ancestorHash } : {}),
      recent: (number) => known.get(number),
      ...(tick ? { tick } : {}),
    })
    if (planned.state) {
      const fault = await applyStateOverrides(machine, planned.state)
      if (fault) throw new SimulationError(SIMULATION_CODES.invalid, fault)
    }
    rules.begin(state, header)
    const messageLog = new MessageLog(machine, this.#input.traceTransfers)
    for (const call of calls) await this.#call(machine, header, call, messageLog)

    const withdrawals = overrides.withdrawals ?? []
    const closed = await rules.close(machine, { header, withdrawals, receipts: this.#receipts })
    const writes = state.finish()
    const raws = this.#transactions.map(({ raw }) => raw)
    const sealed: Header = {
      ...header,
      ...closed,
      ...rules.seal(writes.storageRootOf),
      stateRoot: toHex(writes.stateRoot),
      transactionsRoot: transactionsRoot(raws),
      receiptsRoot: receiptsRoot(this.#receipts),
      logsBloom: mergeBlooms(this.#receipts.map((receipt) => receipt.logsBloom)),
      gasUsed: this.#gasUsed,
      ...(header.blobGasUsed === undefined ? {} : { blobGasUsed: BigInt(this.#blobs) * BLOB_GAS }),
    }
    const block = { hash: headerHash(sealed), header: sealed, transactions: raws, withdrawals }
    return { block, transactions: this.#transactions, results: this.#results, writes }
  }

  /** Roots and gas used are those of an empty block until the calls have run. */
  #header(): Header {
    const { rules, validation } = this.#input
    const { parent, planned } = this.#at
    const { overrides, number, timestamp } = planned
    const template = rules.template(parent, { number, timestamp })
    const isPriced = template.baseFeePerGas !== undefined
    return {
      ...template,
      parentHash: headerHash(parent),
      ommersHash: EMPTY_OMMERS_HASH,
      number,
      timestamp,
      coinbase: overrides.coinbase ?? parent.coinbase,
      gasLimit: overrides.gasLimit ?? parent.gasLimit,
      mixHash: overrides.mixHash ?? ZERO_HASH,
      nonce: ZERO_NONCE,
      ...(isPriced
        ? {
            baseFeePerGas:
              overrides.baseFeePerGas ?? (validation ? rules.chain.nextBaseFee(parent) : 0n),
          }
        : {}),
      ...(template.parentBeaconBlockRoot === undefined
        ? {}
        : { parentBeaconBlockRoot: overrides.parentBeaconBlockRoot ?? ZERO_HASH }),
    } as Header
  }

  async #call(
    machine: Machine,
    header: Header,
    call: SimulatedCall,
    messageLog: MessageLog,
  ): Promise<void> {
    const { rules, validation } = this.#input
    const { budget } = this.#at
    const roomLeft = header.gasLimit - this.#gasUsed
    const wanted = call.gas ?? roomLeft
    if (wanted > roomLeft) {
      const message = `block gas limit reached: call ${this.#results.length} wants ${wanted}, ${roomLeft} are left`
      throw new SimulationError(SIMULATION_CODES.blockGasLimit, message)
    }
    const from = call.from ?? ZERO_ADDRESS
    const nonce = call.nonce ?? machine.state.account(from)?.nonce ?? 0n
    const gasLimit = wanted < budget.gasLeft ? wanted : budget.gasLeft
    const message: Message = {
      from,
      to: call.to ?? null,
      data: call.data ?? new Uint8Array(0),
      value: call.value ?? 0n,
      gasLimit,
      nonce,
      maxFeePerGas: call.gasPrice ?? call.maxFeePerGas ?? 0n,
      maxPriorityFeePerGas: call.gasPrice ?? call.maxPriorityFeePerGas ?? 0n,
      ...(call.accessList ? { accessList: call.accessList } : {}),
      ...(call.authorizationList ? { authorizationList: call.authorizationList } : {}),
      ...(call.blobVersionedHashes
        ? {
            blobVersionedHashes: call.blobVersionedHashes,
            maxFeePerBlobGas: call.maxFeePerBlobGas ?? 0n,
          }
        : {}),
    }
    const fault = messageFault(machine, message, validation)
    if (fault) {
      const code = TX_CODES[fault.code] ?? SIMULATION_CODES.internal
      throw new SimulationError(code, `${fault.message} (supplied gas ${gasLimit})`)
    }
    messageLog.begin()
    const result = await runMessage(machine, message)
    budget.gasLeft -= result.gasUsed
    this.#take(
      simulatedTx(rules.chain.chainId, nonce, message, call.gasPrice !== undefined),
      result,
    )
    this.#results.push({
      gasUsed: result.gasUsed,
      gasPeak: result.gasPeak,
      returnData: result.returnData,
      ...(result.error ? { error: result.error } : {}),
      logs: result.error ? [] : messageLog.logs(),
    })
  }

  #take(tx: SimulatedTx, result: MessageResult): void {
    const logs = result.error ? [] : result.logs
    this.#gasUsed += result.gasUsed
    this.#blobs += tx.message.blobVersionedHashes?.length ?? 0
    this.#transactions.push(tx)
    this.#receipts.push({
      type: tx.type,
      transactionHash: tx.hash,
      from: tx.message.from,
      to: tx.message.to,
      status: result.error ? 0 : 1,
      gasUsed: result.gasUsed,
      cumulativeGasUsed: this.#gasUsed,
      logs,
      logsBloom: bloomOf(logs),
      contractAddress: result.createdAddress,
      effectiveGasPrice: 0n,
    })
  }
}

/** What simulated blocks have added to the store, in memory. */
class Overlay implements StateReader {
  readonly #below: StateReader
  readonly #nodes = new Map<Hex, Uint8Array>()
  readonly #codes = new Map<Hex, Uint8Array>()

  constructor(below: StateReader) {
    this.#below = below
  }

  node(hash: Uint8Array, owner?: NodeOwner): Uint8Array | undefined {
    return this.#nodes.get(toHex(hash)) ?? this.#below.node(hash, owner)
  }

  code(hash: Uint8Array): Uint8Array | undefined {
    return this.#codes.get(toHex(hash)) ?? this.#below.code(hash)
  }

  add({ nodes, codes }: StateWrites): void {
    for (const { hash, rlp } of nodes) this.#nodes.set(toHex(hash), rlp)
    for (const { hash, code } of codes) this.#codes.set(toHex(hash), code)
  }
}
