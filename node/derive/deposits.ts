/**
 * User deposits: the portal's `TransactionDeposited` logs of an L1 block as deposit transactions
 * (specs: deposits.md). The decoding is strict; the portal writes only well-formed logs, so a log
 * that is not is skipped and traced rather than trusted in part.
 *
 *   topics = [event, from, to, version 0]
 *   data   = abi.encode(bytes opaqueData)
 *   opaqueData = mint 32 || value 32 || gasLimit 8 || isCreation 1 || data
 */
import { bytesToBigint, type Hex } from '../base/bytes.ts'
import { encodeDepositTx, userDepositSourceHash } from '../chain/deposit.ts'
import type { L1Log } from '../l1/types.ts'
import type { TraceEntry } from './types.ts'

/** keccak256("TransactionDeposited(address,address,uint256,bytes)"). */
export const TRANSACTION_DEPOSITED: Hex =
  '0xb3813568d9991fc951961fcb4c784893574240a28925604d09fc577c55bb7c32'

const OPAQUE_HEADER_BYTES = 73

export type DepositFault =
  | 'wrong number of topics'
  | 'topic is not an address'
  | 'unknown deposit version'
  | 'malformed log data'
  | 'opaque data too short'
  | 'isCreation is neither 0 nor 1'

/** Deposit transactions of one L1 block in log order, and what was skipped. */
export function deriveDeposits(
  l1: { readonly hash: Hex; readonly portalLogs: readonly L1Log[] },
  portal: Hex,
): { transactions: Uint8Array[]; trace: TraceEntry[] } {
  const transactions: Uint8Array[] = []
  const trace: TraceEntry[] = []
  for (const log of l1.portalLogs) {
    if (log.address !== portal || log.topics[0] !== TRANSACTION_DEPOSITED) continue
    const decoded = decodeDepositLog(log, l1.hash)
    if (typeof decoded === 'string') {
      trace.push({ stage: 'deposit', logIndex: log.logIndex, reason: decoded })
    } else transactions.push(decoded)
  }
  return { transactions, trace }
}

/** The 0x7E bytes of one log, or what is wrong with it. */
export function decodeDepositLog(log: L1Log, l1BlockHash: Hex): Uint8Array | DepositFault {
  const [, fromTopic, toTopic, version] = log.topics
  if (log.topics.length !== 4 || !fromTopic || !toTopic || !version) return 'wrong number of topics'
  const [from, to] = [topicAddress(fromTopic), topicAddress(toTopic)]
  if (!from || !to) return 'topic is not an address'
  if (BigInt(version) !== 0n) return 'unknown deposit version'
  const opaque = abiBytes(log.data)
  if (!opaque) return 'malformed log data'
  if (opaque.length < OPAQUE_HEADER_BYTES) return 'opaque data too short'
  const creation = opaque[72] as number
  if (creation > 1) return 'isCreation is neither 0 nor 1'
  return encodeDepositTx({
    sourceHash: userDepositSourceHash(l1BlockHash, log.logIndex),
    from,
    to: creation ? null : to,
    mint: bytesToBigint(opaque.subarray(0, 32)),
    value: bytesToBigint(opaque.subarray(32, 64)),
    gas: bytesToBigint(opaque.subarray(64, 72)),
    isSystemTx: false,
    data: opaque.subarray(OPAQUE_HEADER_BYTES),
  })
}

function topicAddress(topic: Hex): Hex | null {
  return /^0x0{24}[0-9a-f]{40}$/.test(topic) ? `0x${topic.slice(26)}` : null
}

/** `abi.encode(bytes)` in its one canonical form, or null. */
function abiBytes(data: Uint8Array): Uint8Array | null {
  if (data.length < 64 || bytesToBigint(data.subarray(0, 32)) !== 32n) return null
  const length = bytesToBigint(data.subarray(32, 64))
  if (length > BigInt(data.length)) return null
  const end = 64 + Number(length)
  if (data.length !== 64 + Math.ceil(Number(length) / 32) * 32) return null
  if (data.subarray(end).some((byte) => byte !== 0)) return null
  return data.subarray(64, end)
}
