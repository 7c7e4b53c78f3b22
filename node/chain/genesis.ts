/**
 * Block 0: the alloc as state, and a header whose extra data carries the EIP-1559 parameters the first
 * blocks are priced by. Pure: two nodes with the same configuration and alloc have the same hash.
 */
import { OP } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import { fromHex, type Hex, toHex, ZERO_HASH } from '../base/bytes.ts'
import { EMPTY_ACCOUNT } from './account.ts'
import {
  createBlock,
  EMPTY_BLOOM,
  EMPTY_OMMERS_HASH,
  EMPTY_REQUESTS_HASH,
  transactionsRoot,
  ZERO_NONCE,
} from './block.ts'
import { encodeExtraData } from './fees.ts'
import { addressOf } from './machine.ts'
import { receiptsRoot } from './receipt.ts'
import { type StateReader, type StateWrites, trimmed, WorldState } from './state.ts'
import { EMPTY_ROOT } from './trie.ts'
import type { Block } from './types.ts'

type GenesisAccount = {
  readonly code?: Hex
  readonly storage?: Readonly<Record<Hex, Hex>>
  /** wei of OPEN. */
  readonly balance?: bigint
  readonly nonce?: bigint
}

export type GenesisAlloc = Readonly<Record<Hex, GenesisAccount>>

/** wei of OPEN per gas: 1 gwei, as Ethereum began EIP-1559 with. */
const GENESIS_BASE_FEE_WEI = 1_000_000_000n

const NOTHING: StateReader = { node: () => undefined, code: () => undefined }

export async function createGenesis(
  config: ChainConfig,
  alloc: GenesisAlloc,
): Promise<{ block: Block; writes: StateWrites }> {
  const writes = await genesisState(alloc)
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

/** The alloc as the first state. */
export async function genesisState(alloc: GenesisAlloc): Promise<StateWrites> {
  const state = new WorldState(NOTHING, EMPTY_ROOT)
  for (const [key, account] of Object.entries(alloc)) {
    const address = key.toLowerCase() as Hex
    const { nonce = 0n, balance = 0n } = account
    state.setAccount(address, { ...EMPTY_ACCOUNT, nonce, balance })
    if (account.code) await state.putCode(addressOf(address), fromHex(account.code))
    for (const [slot, value] of Object.entries(account.storage ?? {})) {
      state.setSlot(address, word(slot), trimmed(fromHex(word(value))))
    }
  }
  return state.finish()
}

/** 32 bytes of hex, whatever padding the alloc was written with. */
function word(hex: string): Hex {
  return `0x${hex.replace(/^0x/, '').toLowerCase().padStart(64, '0')}`
}
