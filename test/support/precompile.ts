/**
 * An EVM with our precompiles over a state in memory, contracts that forward a call in each of the ways
 * there are, and tables sealed as ModelRegistry would.
 */
import { createAddressFromString } from '@ethereumjs/util'
import { decodeFunctionResult, encodeFunctionData, parseAbi } from 'viem'
import { OPENLEDGER, PRECOMPILE } from '../../genesis/addresses.ts'
import { type AttributionTable, encodeSeal } from '../../node/attribution/table.ts'
import { fromHex, type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from '../../node/base/bytes.ts'
import { createMachine, type Machine } from '../../node/chain/machine.ts'
import { rollupRules } from '../../node/chain/rules.ts'
import { WorldState } from '../../node/chain/state.ts'
import { EMPTY_ROOT } from '../../node/chain/trie.ts'
import { CHAIN_ID } from './chain.ts'

const modelAbi = parseAbi([
  'function put(bytes chunk) returns (address)',
  'function seal(bytes manifest) returns (bytes32)',
])
const attributeAbi = parseAbi([
  'function score(bytes32 modelId, bytes sketch) view returns (address[] accounts, uint32[] indices, uint64[] weights, bytes32 attributionRoot)',
  'function scoreBatch(bytes32 modelId, bytes[] sketches, uint256[] amounts) view returns (address[] accounts, uint256[] payouts, uint256 unattributed, bytes32[] attributionRoots)',
])

export type CallOutcome = { ok: boolean; gasUsed: bigint; output: Uint8Array; error?: string }

export class PrecompileBench {
  readonly machine: Machine
  readonly state: WorldState

  constructor() {
    this.state = new WorldState({ node: () => undefined, code: () => undefined }, EMPTY_ROOT)
    this.machine = createMachine({
      rules: rollupRules(CHAIN_ID),
      state: this.state,
      environment: {
        number: 1n,
        coinbase: ZERO_ADDRESS,
        timestamp: 1n,
        gasLimit: 1_000_000_000n,
        mixHash: ZERO_HASH,
        baseFeePerGas: 7n,
      },
    })
  }

  async setCode(address: Hex, code: Hex): Promise<void> {
    await this.state.putCode(createAddressFromString(address), fromHex(code))
  }

  hasCode(address: Hex): boolean {
    const account = this.state.account(address)
    return account !== null && this.state.code(account.codeHash).length > 0
  }

  async call(
    to: Hex,
    data: Hex | Uint8Array,
    options: { from?: Hex; gas?: bigint; isStatic?: boolean; value?: bigint } = {},
  ): Promise<CallOutcome> {
    const caller = createAddressFromString(options.from ?? OPENLEDGER.modelRegistry)
    const { execResult } = await this.machine.evm.runCall({
      caller,
      origin: caller,
      to: createAddressFromString(to),
      data: typeof data === 'string' ? fromHex(data) : data,
      gasLimit: options.gas ?? 500_000_000n,
      isStatic: options.isStatic ?? false,
      value: options.value ?? 0n,
    })
    const error = execResult.exceptionError?.error
    return {
      ok: error === undefined,
      gasUsed: execResult.executionGasUsed,
      output: execResult.returnValue,
      ...(error === undefined ? {} : { error }),
    }
  }

  put(chunk: Uint8Array, options?: Parameters<PrecompileBench['call']>[2]): Promise<CallOutcome> {
    return this.call(PRECOMPILE.model, putData(chunk), options)
  }

  seal(
    manifest: Uint8Array,
    options?: Parameters<PrecompileBench['call']>[2],
  ): Promise<CallOutcome> {
    return this.call(PRECOMPILE.model, sealData(manifest), options)
  }

  /** Puts and seals; returns the model id. */
  async register(table: AttributionTable, top = 32): Promise<Hex> {
    const { chunks, seal } = sealOf(table, top)
    for (const chunk of chunks) if (!(await this.put(chunk)).ok) throw new Error('put failed')
    const sealed = await this.seal(seal)
    if (!sealed.ok) throw new Error(`seal failed: ${sealed.error}`)
    return toHex(sealed.output)
  }

  score(
    modelId: Hex,
    sketch: Uint8Array,
    options?: Parameters<PrecompileBench['call']>[2],
  ): Promise<CallOutcome> {
    return this.call(PRECOMPILE.attribute, scoreData(modelId, sketch), options)
  }

  scoreBatch(modelId: Hex, sketches: Uint8Array[], amounts: bigint[]): Promise<CallOutcome> {
    return this.call(PRECOMPILE.attribute, scoreBatchData(modelId, sketches, amounts))
  }
}

export function putData(chunk: Uint8Array): Hex {
  return encodeFunctionData({ abi: modelAbi, functionName: 'put', args: [toHex(chunk)] })
}

export function sealData(manifest: Uint8Array): Hex {
  return encodeFunctionData({ abi: modelAbi, functionName: 'seal', args: [toHex(manifest)] })
}

export function scoreData(modelId: Hex, sketch: Uint8Array): Hex {
  return encodeFunctionData({
    abi: attributeAbi,
    functionName: 'score',
    args: [modelId, toHex(sketch)],
  })
}

export function scoreBatchData(modelId: Hex, sketches: Uint8Array[], amounts: bigint[]): Hex {
  return encodeFunctionData({
    abi: attributeAbi,
    functionName: 'scoreBatch',
    args: [modelId, sketches.map(toHex), amounts],
  })
}

export function scoreResult(output: Uint8Array): {
  accounts: string[]
  indices: number[]
  weights: bigint[]
  root: string
} {
  const [accounts, indices, weights, root] = decodeFunctionResult({
    abi: attributeAbi,
    functionName: 'score',
    data: toHex(output),
  })
  return {
    accounts: accounts.map((a) => a.toLowerCase()),
    indices: [...indices],
    weights: [...weights],
    root,
  }
}

export function scoreBatchResult(output: Uint8Array): {
  accounts: string[]
  payouts: bigint[]
  unattributed: bigint
  roots: string[]
} {
  const [accounts, payouts, unattributed, roots] = decodeFunctionResult({
    abi: attributeAbi,
    functionName: 'scoreBatch',
    data: toHex(output),
  })
  return {
    accounts: accounts.map((a) => a.toLowerCase()),
    payouts: [...payouts],
    unattributed,
    roots: [...roots],
  }
}

/** The account of contributor `index` in test tables. */
export function accountOf(index: number): Hex {
  return `0x${(index + 1).toString(16).padStart(40, '0')}`
}

export function tableOf(
  rows: readonly (readonly number[])[],
  multipliers: readonly number[] = [],
): AttributionTable {
  return {
    k: rows[0]?.length ?? 0,
    contributors: rows.map((_, i) => ({
      account: accountOf(i),
      multiplier: multipliers[i] ?? 1_000_000,
    })),
    sums: Int32Array.from(rows.flat()),
  }
}

export function sealOf(
  table: AttributionTable,
  top = 32,
  corpusHash: Hex = ZERO_HASH,
): { chunks: Uint8Array[]; seal: Uint8Array } {
  return encodeSeal({
    table,
    top,
    baseHash: `0x${'b1'.repeat(32)}`,
    adapterHash: `0x${'b2'.repeat(32)}`,
    artefactHash: `0x${'b3'.repeat(32)}`,
    leavesRoot: `0x${'b4'.repeat(32)}`,
    manifestHash: `0x${'b5'.repeat(32)}`,
    corpusHash,
    kernelSet: 1,
  })
}

export function sketchOf(entries: readonly number[]): Uint8Array {
  return new Uint8Array(Int8Array.from(entries).buffer)
}

const CALLS = { call: 'f1', callcode: 'f2', delegatecall: 'f4', staticcall: 'fa' } as const

/** Code that hands its call data to `target` with all gas, `times` in a row, then returns (or reverts with)
 * success as a word followed by the return data of the last call. */
export function forwarder(
  target: Hex,
  how: keyof typeof CALLS,
  options: { thenRevert?: boolean; times?: number } = {},
): Hex {
  const value = how === 'call' || how === 'callcode' ? '5f' : ''
  const once = `5f5f365f${value}73${target.slice(2)}5a${CALLS[how]}`
  const calls = Array.from({ length: options.times ?? 1 }, () => once).join('50')
  const end = options.thenRevert ? 'fd' : 'f3'
  return `0x365f5f37${calls}5f523d5f60203e3d6020015f${end}`
}
