/**
 * The load of the throughput benchmarks: transactions signed beforehand, sent in JSON-RPC batches over a few
 * kept connections, until all are in blocks. A sender's transactions go over one connection, in order.
 *
 *   sign -> [ send in batches -> poll each sender's last receipt ] -> check the receipts of every block
 *
 * What stands in brackets is timed. Every transaction must be in a block and have succeeded.
 */
import { privateKeyToAccount } from 'viem/accounts'
import { signHashes } from '../../native/index.ts'
import { concatBytes, fromHex, type Hex, keccak, toHex, utf8 } from '../../node/base/bytes.ts'
import { encodeRlp, integer, type RlpItem } from '../../node/chain/rlp.ts'
import type { Account } from '../../scripts/devnet/accounts.ts'
import type { BenchClient } from './rpc-client.ts'

export type Sender = { readonly account: Account; nonce: bigint }
export type TxPlan = {
  readonly to: Hex | null
  readonly value: bigint
  readonly data: Uint8Array
  readonly gas: bigint
}
/** One connection's share: requests of up to `BATCH` transactions, what they are called, and the last of each
 * sender. */
export type Lane = {
  readonly batches: readonly (readonly Hex[])[]
  readonly hashes: readonly Hex[]
  readonly last: readonly Hex[]
}
/** Each since the first transaction was sent. */
export type Round = {
  readonly sentSeconds: number
  /** Every sender's last transaction has a receipt, so all are in blocks. */
  readonly includedSeconds: number
  readonly blocks: number
}
type Receipt = { readonly status: string }

export const BATCH = 100
const POLL_MS = 25
const ROUND_MS_MAX = 300_000
const FEE_CAP = 100_000_000_000n
const TIP = 1_000_000_000n

export function benchAccount(i: number): Account {
  const privateKey = toHex(keccak(utf8(`openledger benchmark account: ${i}`)))
  const { address } = privateKeyToAccount(privateKey)
  return { name: `bench ${i}`, address: address.toLowerCase() as Hex, privateKey }
}

/** Type 2 transactions, signed natively: forty thousand take about a second. */
export function signAll(
  chainId: number,
  wanted: readonly { sender: Sender; plan: TxPlan }[],
): { raw: Hex; hash: Hex }[] {
  const unsigned = wanted.map(({ sender, plan }): RlpItem[] => [
    integer(chainId),
    integer(sender.nonce++),
    integer(TIP),
    integer(FEE_CAP),
    integer(plan.gas),
    plan.to ? fromHex(plan.to) : new Uint8Array(0),
    integer(plan.value),
    plan.data,
    [],
  ])
  const requests = unsigned.map((fields, i) =>
    concatBytes(
      keccak(Uint8Array.of(2), encodeRlp(fields)),
      fromHex(wanted[i]?.sender.account.privateKey as Hex),
    ),
  )
  const signatures = signHashes(Buffer.concat(requests))
  return unsigned.map((fields, i) => {
    const at = i * 65
    const word = (from: number): Uint8Array =>
      integer(BigInt(toHex(signatures.subarray(at + from, at + from + 32))))
    const parity = integer(signatures[at + 64] as number)
    const raw = concatBytes(Uint8Array.of(2), encodeRlp([...fields, parity, word(0), word(32)]))
    return { raw: toHex(raw), hash: toHex(keccak(raw)) }
  })
}

/** `plans` of each sender in its order; senders are dealt out to the connections. */
export function signLanes(
  chainId: number,
  senders: readonly Sender[],
  connections: number,
  plansOf: (sender: Sender) => readonly TxPlan[],
): Lane[] {
  return Array.from({ length: connections }, (_, lane) => {
    const mine = senders.filter((_, i) => i % connections === lane)
    const last: Hex[] = []
    const signed = mine.flatMap((sender) => {
      const plans = plansOf(sender).map((plan) => ({ sender, plan }))
      const own = signAll(chainId, plans)
      last.push(...own.slice(-1).map(({ hash }) => hash))
      return own
    })
    const batches: Hex[][] = []
    for (let at = 0; at < signed.length; at += BATCH) {
      batches.push(signed.slice(at, at + BATCH).map(({ raw }) => raw))
    }
    return { batches, hashes: signed.map(({ hash }) => hash), last }
  })
}

export async function runLanes(client: BenchClient, lanes: readonly Lane[]): Promise<Round> {
  const firstBlock = Number(await client.call<Hex>('eth_blockNumber')) + 1
  const began = performance.now()
  const since = (): number => (performance.now() - began) / 1000
  let sentSeconds = 0
  await Promise.all(
    lanes.map(async ({ batches, last }) => {
      for (const raws of batches) {
        await client.batch(raws.map((raw) => ({ method: 'eth_sendRawTransaction', params: [raw] })))
      }
      sentSeconds = since()
      await receiptsOf(client, last, began)
    }),
  )
  const includedSeconds = since()
  const wanted = new Set(lanes.flatMap(({ hashes }) => hashes))
  return { sentSeconds, includedSeconds, blocks: await checkAll(client, wanted, firstBlock) }
}

/** How many blocks hold them. @throws Error unless every one is there and succeeded. */
async function checkAll(client: BenchClient, wanted: Set<Hex>, from: number): Promise<number> {
  const head = Number(await client.call<Hex>('eth_blockNumber'))
  let blocks = 0
  for (let number = from; number <= head; number++) {
    const tag = `0x${number.toString(16)}`
    const receipts = await client.call<(Receipt & { transactionHash: Hex })[]>(
      'eth_getBlockReceipts',
      tag,
    )
    const mine = receipts.filter(({ transactionHash }) => wanted.delete(transactionHash))
    if (mine.some(({ status }) => status !== '0x1')) throw new Error('a transaction failed')
    if (mine.length) blocks++
  }
  if (wanted.size) throw new Error(`${wanted.size} transactions are in no block`)
  return blocks
}

async function receiptsOf(
  client: BenchClient,
  hashes: readonly Hex[],
  began: number,
): Promise<Receipt[]> {
  const entries = hashes.map((hash) => ({ method: 'eth_getTransactionReceipt', params: [hash] }))
  for (;;) {
    const receipts = await client.batch<Receipt | null>(entries)
    if (receipts.every((receipt) => receipt !== null)) return receipts as Receipt[]
    if (performance.now() - began > ROUND_MS_MAX) throw new Error('receipts are missing')
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Signs, sends and waits for a few transactions one sender needs before a benchmark begins. */
export async function settle(
  client: BenchClient,
  chainId: number,
  sender: Sender,
  plans: readonly TxPlan[],
): Promise<void> {
  await runLanes(
    client,
    signLanes(chainId, [sender], 1, () => plans),
  )
}
