/**
 * Block 0: the alloc as state, and a header whose extra data carries the EIP-1559 parameters the first
 * blocks are priced by. Pure: two nodes with the same configuration and alloc have the same hash.
 */
import { OP } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Deployment } from '../../genesis/preinstalls.ts'
import { bytesEqual, fromHex, type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import { EMPTY_ACCOUNT, EMPTY_CODE_HASH } from './account.ts'
import {
  createBlock,
  EMPTY_BLOOM,
  EMPTY_OMMERS_HASH,
  EMPTY_REQUESTS_HASH,
  transactionsRoot,
  ZERO_NONCE,
} from './block.ts'
import { encodeExtraData } from './fees.ts'
import { addressOf, createMachine, type Machine } from './machine.ts'
import { receiptsRoot } from './receipt.ts'
import { rollupRules } from './rules.ts'
import { type StateReader, type StateWrites, trimmed, WorldState } from './state.ts'
import { EMPTY_ROOT } from './trie.ts'
import type { Block } from './types.ts'

type GenesisAccount = {
  /** Instead of all below: run by a factory or as an account's first contract, after everything else stands. */
  readonly deployment?: Deployment & { readonly creationCode: Hex }
  /** Instead of `code`: run where it stands, after every code is in place, it returns the code and may set storage. */
  readonly creationCode?: Hex
  readonly code?: Hex
  readonly storage?: Readonly<Record<Hex, Hex>>
  /** wei of OPEN. */
  readonly balance?: bigint
  readonly nonce?: bigint
}

export type GenesisAlloc = Readonly<Record<Hex, GenesisAccount>>

/** The largest of the preinstalls takes 5 million. */
const DEPLOYMENT_GAS = 30_000_000n

/** wei of OPEN per gas: 1 gwei, as Ethereum began EIP-1559 with. */
const GENESIS_BASE_FEE_WEI = 1_000_000_000n

const NOTHING: StateReader = { node: () => undefined, code: () => undefined }

export async function createGenesis(
  config: ChainConfig,
  alloc: GenesisAlloc,
): Promise<{ block: Block; writes: StateWrites }> {
  const writes = await genesisState(alloc, async (state) => {
    const machine = genesisMachine(config, state)
    await runConstructors(machine, alloc)
    await runDeployments(machine, alloc)
    // The caller of calls that nobody made.
    if (!alloc[ZERO_ADDRESS]) state.setAccount(ZERO_ADDRESS, null)
  })
  const { systemConfig, l2Time } = config.genesis
  const header = {
    parentHash: ZERO_HASH,
    ommersHash: EMPTY_OMMERS_HASH,
    coinbase: OP.sequencerFeeVault,
    stateRoot: toHex(writes.stateRoot),
    transactionsRoot: transactionsRoot([]),
    receiptsRoot: receiptsRoot([]),
    logsBloom: EMPTY_BLOOM,
    difficulty: 0n,
    number: config.genesis.l2.number,
    gasLimit: systemConfig.gasLimit,
    gasUsed: 0n,
    timestamp: l2Time,
    extraData: encodeExtraData({
      denominator: systemConfig.eip1559Denominator,
      elasticity: systemConfig.eip1559Elasticity,
    }),
    mixHash: ZERO_HASH,
    nonce: ZERO_NONCE,
    baseFeePerGas: GENESIS_BASE_FEE_WEI,
    withdrawalsRoot: toHex(writes.storageRootOf(OP.l2ToL1MessagePasser)),
    blobGasUsed: 0n,
    excessBlobGas: 0n,
    parentBeaconBlockRoot: ZERO_HASH,
    requestsHash: EMPTY_REQUESTS_HASH,
  }
  return { block: createBlock(header, []), writes }
}

/** The alloc as the first state; `afterwards` may add to it. */
export async function genesisState(
  alloc: GenesisAlloc,
  afterwards: (state: WorldState) => Promise<void> = async () => {},
): Promise<StateWrites> {
  const state = new WorldState(NOTHING, EMPTY_ROOT)
  for (const [key, account] of Object.entries(alloc)) {
    const address = key.toLowerCase() as Hex
    if (account.deployment) continue
    const { nonce = 0n, balance = 0n } = account
    state.setAccount(address, { ...EMPTY_ACCOUNT, nonce, balance })
    if (account.code) await state.putCode(addressOf(address), fromHex(account.code))
    for (const [slot, value] of Object.entries(account.storage ?? {})) {
      state.setSlot(address, word(slot), trimmed(fromHex(word(value))))
    }
  }
  await afterwards(state)
  return state.finish()
}

/** Contracts at fixed addresses whose code has immutables or whose storage a constructor sets. */
async function runConstructors({ evm, state }: Machine, alloc: GenesisAlloc): Promise<void> {
  for (const [key, { creationCode }] of Object.entries(alloc)) {
    if (!creationCode) continue
    const address = addressOf(key.toLowerCase() as Hex)
    await state.putCode(address, fromHex(creationCode))
    const { execResult } = await evm.runCall({ to: address, gasLimit: DEPLOYMENT_GAS })
    await evm.journal.cleanup()
    const failure = execResult.exceptionError?.error
    assert(!failure, `constructor at ${key}: ${failure} ${toHex(execResult.returnValue)}`)
    await state.putCode(address, execResult.returnValue)
  }
}

/** Leaves what the deployments leave: code, storage, nonces (a creator's too), and what constructors create. */
async function runDeployments({ evm, state }: Machine, alloc: GenesisAlloc): Promise<void> {
  for (const [key, { deployment }] of Object.entries(alloc)) {
    if (!deployment) continue
    await evm.runCall({ ...deploymentCall(deployment), gasLimit: DEPLOYMENT_GAS })
    await evm.journal.cleanup()
    const account = state.account(key.toLowerCase() as Hex)
    assert(account && !bytesEqual(account.codeHash, EMPTY_CODE_HASH), `no code at ${key}`)
  }
}

function deploymentCall(deployment: Deployment & { readonly creationCode: Hex }): {
  caller?: ReturnType<typeof addressOf>
  to?: ReturnType<typeof addressOf>
  data: Uint8Array
} {
  const { creationCode } = deployment
  if ('creator' in deployment) {
    return { caller: addressOf(deployment.creator), data: fromHex(creationCode) }
  }
  const data = fromHex(`${deployment.salt}${creationCode.slice(2)}`)
  return { to: addressOf(deployment.factory), data }
}

function genesisMachine({ l2ChainId, genesis }: ChainConfig, state: WorldState): Machine {
  return createMachine({
    rules: rollupRules(l2ChainId),
    state,
    environment: {
      number: genesis.l2.number,
      coinbase: OP.sequencerFeeVault,
      timestamp: genesis.l2Time,
      gasLimit: DEPLOYMENT_GAS,
      mixHash: ZERO_HASH,
      baseFeePerGas: 0n,
    },
  })
}

/** 32 bytes of hex, whatever padding the alloc was written with. */
function word(hex: string): Hex {
  return `0x${hex.replace(/^0x/, '').toLowerCase().padStart(64, '0')}`
}
