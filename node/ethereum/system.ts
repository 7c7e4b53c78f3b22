/**
 * What a block does of itself, beside its transactions: before them the system contracts of EIP-4788 and
 * EIP-2935 are written; after them withdrawals are paid (EIP-4895), execution-layer requests are gathered
 * (EIP-7685: deposits 6110, withdrawals 7002, consolidations 7251), and before the merge miners are rewarded.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToBigint, concatBytes, type Hex, toHex } from '../base/bytes.ts'
import { addressOf, type Machine } from '../chain/machine.ts'
import type { WorldState } from '../chain/state.ts'
import { writeBeaconRoot, writeParentHash } from '../chain/system.ts'
import type { EthereumHeader, Receipt, Withdrawal } from '../chain/types.ts'
import type { EthereumBlockRules } from './rules.ts'

const SYSTEM_ADDRESS: Hex = '0xfffffffffffffffffffffffffffffffffffffffe'
const SYSTEM_CALL_GAS = 30_000_000n
export const WITHDRAWAL_REQUESTS: Hex = '0x00000961ef480eb55e80d19ad83579a64c007002'
export const CONSOLIDATION_REQUESTS: Hex = '0x0000bbddc7ce488642fb579f8b00f3a590007251'
const WEI_PER_GWEI = 1_000_000_000n

/** A block that cannot be: a system contract is missing or fails, a deposit log is not one. */
export class SystemCallError extends Error {}

export function beginBlock(
  state: WorldState,
  header: Pick<EthereumHeader, 'number' | 'timestamp' | 'parentHash' | 'parentBeaconBlockRoot'>,
  rules: EthereumBlockRules,
): void {
  const { parentBeaconBlockRoot } = header
  if (rules.has(4788) && parentBeaconBlockRoot) {
    writeBeaconRoot(state, { ...header, parentBeaconBlockRoot })
  }
  if (rules.has(2935)) writeParentHash(state, header)
}

/** Amounts are gwei; nobody is created by a withdrawal of nothing (EIP-161). */
export function payWithdrawals(state: WorldState, withdrawals: readonly Withdrawal[]): void {
  for (const { address, amount } of withdrawals) {
    if (amount) state.addBalance(address, amount * WEI_PER_GWEI)
  }
}

/** The miner's reward, 1/32 of it more for each ommer, and up to 7/8 for the miner of each. */
export function payRewards(
  state: WorldState,
  header: Pick<EthereumHeader, 'number' | 'coinbase'>,
  ommers: readonly EthereumHeader[],
  { common }: EthereumBlockRules,
): void {
  const reward = common.param('minerReward')
  for (const ommer of ommers) {
    const age = header.number - ommer.number
    state.addBalance(ommer.coinbase, ((8n - age) * reward) / 8n)
  }
  state.addBalance(header.coinbase, reward + (reward / 32n) * BigInt(ommers.length))
}

/** EIP-7685 requests that ask something, each behind its type; `receipts` of the whole
 * block. @throws SystemCallError */
export async function gatherRequests(
  machine: Machine,
  receipts: readonly Receipt[],
  rules: EthereumBlockRules,
): Promise<Uint8Array[]> {
  const requests = [
    depositsIn(receipts, rules.depositContract),
    await systemCall(machine, WITHDRAWAL_REQUESTS),
    await systemCall(machine, CONSOLIDATION_REQUESTS),
  ]
  return requests.flatMap((data, type) =>
    data.length ? [concatBytes(Uint8Array.of(type), data)] : [],
  )
}

export function requestsHash(requests: readonly Uint8Array[]): Hex {
  return toHex(sha256(concatBytes(...requests.map((request) => sha256(request)))))
}

async function systemCall(machine: Machine, contract: Hex): Promise<Uint8Array> {
  const { evm, state, block } = machine
  const account = state.account(contract)
  if (!account || state.code(account.codeHash).length === 0) {
    throw new SystemCallError(`the system contract ${contract} has no code`)
  }
  const sender = state.account(SYSTEM_ADDRESS)
  const { execResult } = await evm.runCall({
    block,
    caller: addressOf(SYSTEM_ADDRESS),
    to: addressOf(contract),
    gasLimit: SYSTEM_CALL_GAS,
  })
  // The caller is nobody: the call leaves no trace of it.
  state.setAccount(SYSTEM_ADDRESS, sender)
  await evm.journal.cleanup()
  state.originalStorageCache.clear()
  if (execResult.exceptionError) {
    const { error } = execResult.exceptionError
    throw new SystemCallError(`the system contract ${contract} failed: ${error}`)
  }
  return execResult.returnValue
}

const DEPOSIT_TOPIC: Hex = '0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5'
const DEPOSIT_LOG_BYTES = 576
/** Where in the log's data each part's length stands, and what it must be: public key, credentials, amount,
 * signature, index. */
const DEPOSIT_PARTS: readonly (readonly [at: number, size: number])[] = [
  [160, 48],
  [256, 32],
  [320, 8],
  [384, 96],
  [512, 8],
]

/** EIP-6110. @throws SystemCallError */
function depositsIn(receipts: readonly Receipt[], contract: Hex): Uint8Array {
  const deposits = receipts
    .flatMap(({ logs }) => logs)
    .filter(({ address, topics }) => address === contract && topics[0] === DEPOSIT_TOPIC)
  return concatBytes(...deposits.flatMap(({ data }) => partsOf(data)))
}

function partsOf(data: Uint8Array): Uint8Array[] {
  const wordAt = (at: number): bigint => bytesToBigint(data.subarray(at, at + 32))
  const isRight =
    data.length === DEPOSIT_LOG_BYTES &&
    DEPOSIT_PARTS.every(
      ([at, size], i) => wordAt(i * 32) === BigInt(at) && wordAt(at) === BigInt(size),
    )
  if (!isRight) throw new SystemCallError('a log of the deposit contract has another layout')
  return DEPOSIT_PARTS.map(([at, size]) => data.subarray(at + 32, at + 32 + size))
}
