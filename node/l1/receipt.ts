/**
 * L1 receipts: the consensus encoding of what the endpoint says, to be compared with the receipts
 * root. Logs are numbered by counting, not by the endpoint's `logIndex`.
 */
import { RLP } from '@ethereumjs/rlp'
import { concatBytes } from '../base/bytes.ts'
import { integerBytes } from './header.ts'
import { arrayOf, bytesOf, hexOf, objectOf, quantityOf } from './json.ts'
import type { RlpValue } from './transaction.ts'
import type { L1Log } from './types.ts'

export type L1Receipt = { readonly encoded: Uint8Array; readonly logs: readonly L1Log[] }

/** Receipts of one block in order. Pre-Byzantium receipts (a state root for a status) are no more. */
export function parseReceipts(value: unknown): L1Receipt[] {
  let logCount = 0
  return arrayOf(value, 'receipts').map((item) => {
    const json = objectOf(item, 'receipt')
    const type = Number(quantityOf(json.type ?? '0x0', 'receipt type'))
    const logs = arrayOf(json.logs, 'logs').map((log) => parseLog(log, logCount++))
    const body: RlpValue[] = [
      integerBytes(quantityOf(json.status, 'status')),
      integerBytes(quantityOf(json.cumulativeGasUsed, 'cumulativeGasUsed')),
      bytesOf(json.logsBloom, 'logsBloom', 256),
      logs.map((log) => [
        bytesOf(log.address, 'address', 20),
        log.topics.map((topic) => bytesOf(topic, 'topic', 32)),
        log.data,
      ]),
    ]
    const rlp = RLP.encode(body)
    return { encoded: type === 0 ? rlp : concatBytes(Uint8Array.of(type), rlp), logs }
  })
}

function parseLog(value: unknown, logIndex: number): L1Log {
  const json = objectOf(value, 'log')
  return {
    address: hexOf(json.address, 'log address', 20),
    topics: arrayOf(json.topics, 'topics').map((topic) => hexOf(topic, 'topic', 32)),
    data: bytesOf(json.data, 'log data'),
    logIndex,
  }
}
