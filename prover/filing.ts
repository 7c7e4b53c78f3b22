/**
 * ERC-8004's Validation registry filled by what a validator has looked at: when a receipt it has judged is decided on
 * chain (final, or a report on it upheld), it is filed for each agent whose wallet paid for the answer or gave it. One
 * transaction a receipt and agent, since the verdict no longer changes then; whoever comes first has done it for all.
 *
 *   judged -> waiting (disk) --final or upheld--> filed for each agent (once more if lost on the way) --> gone
 *                       \--of no agent, or reorganised away--> gone
 *
 * What it may cost is bounded: so many filings a day of the chain (a restart within it counts on), so many receipts that
 * wait, so many agents looked at.
 */
import { AgentDirectory, VALIDATION } from '../node/agents/directory.ts'
import type { SettledReceipt } from '../node/attribution/settled.ts'
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  toHex,
} from '../node/base/bytes.ts'
import { messageOf } from '../node/base/errors.ts'
import type { Log } from '../node/base/log.ts'
import type { NodeAccount } from '../node/model/account.ts'
import { type ChainReader, orNull, readContract } from '../node/model/contracts.ts'
import type { KvTable } from '../node/store/kv.ts'

/** Receipts that wait to be decided; beyond, the new ones are left to other validators. */
const WAITING_MAX = 10_000
/** Looked at in one turn. */
const TURN_MAX = 16
/** The newest agents, whose wallets are compared. */
const AGENTS_MAX = 1_000
/** Filed for, of a receipt, at the payer’s wallet and at the provider’s, the oldest first: else a thousand agents of one wallet would have the whole day. */
const AGENTS_OF_RECEIPT_MAX = 4
/** Of `verdictOf`: settled, and still open to a report. */
const UNDECIDED = 50
const DAY_SECONDS = 86_400n
const JUDGED = new Uint8Array(1)
const TODAY = new Uint8Array(1)

export type FilerModules = {
  readonly table: KvTable
  /** 00 -> day of the chain u64 || filings in it u32 */
  readonly days: Pick<KvTable, 'get' | 'put'>
  readonly account: Pick<NodeAccount, 'send' | 'address'>
  readonly log: Log
  readonly chain: ChainReader
  /** Of the newest block, seconds. */
  now(): bigint
  settled(receipt: Hex): Promise<SettledReceipt | null>
}

export class Filer {
  readonly #modules: FilerModules
  readonly #filingsPerDay: number
  readonly #agents: AgentDirectory
  #waiting: number | null = null
  /** Where the next turn begins: one receipt that stays undecided holds up no other. */
  #from: Uint8Array = new Uint8Array(0)
  /** Sent in the last turn: a block may have them by the next. */
  #fresh = new Set<string>()
  #today: { day: bigint; filed: number } | null = null

  /** @param options.filingsPerDay 0: none */
  constructor(options: { filingsPerDay: number }, modules: FilerModules) {
    this.#filingsPerDay = options.filingsPerDay
    this.#modules = modules
    this.#agents = new AgentDirectory(modules.chain)
  }

  /** Filed once it is decided. */
  async judged(receipt: Hex): Promise<void> {
    if (this.#filingsPerDay === 0) return
    const { table } = this.#modules
    const waiting = this.#waiting ?? (await this.#count())
    const key = fromHex(receipt)
    if (waiting >= WAITING_MAX || (await table.get(key))) return
    await table.put(key, JUDGED)
    this.#waiting = waiting + 1
  }

  /** The next few that wait. */
  async turn(): Promise<void> {
    const { table } = this.#modules
    const fresh = this.#fresh
    this.#fresh = new Set()
    const keys: Uint8Array[] = []
    for await (const [key] of table.iterate({ from: this.#from, limit: TURN_MAX })) keys.push(key)
    const last = keys.length < TURN_MAX ? undefined : keys[TURN_MAX - 1]
    this.#from = last ? Uint8Array.of(...last, 0) : new Uint8Array(0)
    if (keys.length === 0) return
    const wallets = await this.#agents.byWallet(AGENTS_MAX)
    for (const key of keys) {
      if (!(await this.#isDone(toHex(key), wallets, fresh))) continue
      await table.delete(key)
      if (this.#waiting !== null) this.#waiting -= 1
    }
  }

  async #isDone(
    receipt: Hex,
    wallets: ReadonlyMap<Hex, readonly bigint[]>,
    fresh: ReadonlySet<string>,
  ): Promise<boolean> {
    const settled = await this.#modules.settled(receipt)
    if (!settled) return true
    const { payer, provider } = settled.receipt
    const of = [payer, provider].map((wallet) =>
      (wallets.get(wallet) ?? []).slice(0, AGENTS_OF_RECEIPT_MAX),
    )
    const agents = [...new Set(of.flat())]
    if (agents.length === 0) return true
    const [response] = await this.#read<[number, string]>('verdictOf', [receipt])
    if (response === UNDECIDED) return false
    let done = true
    for (const agent of agents) {
      const request = await this.#read<Hex>('requestHashOf', [agent, receipt])
      if (await orNull(this.#read('getValidationStatus', [request]))) continue
      done = false
      if (!fresh.has(request)) await this.#file(agent, settled, request)
    }
    return done
  }

  async #file(agent: bigint, settled: SettledReceipt, request: Hex): Promise<void> {
    const { account, log, now } = this.#modules
    const day = now() / DAY_SECONDS
    const known = this.#today ?? (await this.#kept())
    const today = known.day === day ? known : { day, filed: 0 }
    this.#today = today
    if (today.filed >= this.#filingsPerDay) return
    const of = { receipt: settled.hash, agent: agent.toString() }
    try {
      const transaction = await account.send(VALIDATION, 'fileReceipt', [agent, settled.receipt])
      this.#fresh.add(request)
      await this.#keep({ day, filed: today.filed + 1 })
      log.info('receipt filed with its agent', { ...of, transaction })
    } catch (error) {
      log.warn('a filing waits', { ...of, account: account.address, error: messageOf(error) })
    }
  }

  async #kept(): Promise<{ day: bigint; filed: number }> {
    const row = await this.#modules.days.get(TODAY)
    if (!row) return { day: 0n, filed: 0 }
    const [day, filed] = [row.subarray(0, 8), row.subarray(8)].map(bytesToBigint)
    return { day: day as bigint, filed: Number(filed) }
  }

  async #keep(today: { day: bigint; filed: number }): Promise<void> {
    this.#today = today
    const row = concatBytes(bigintToBytes(today.day, 8), bigintToBytes(BigInt(today.filed), 4))
    await this.#modules.days.put(TODAY, row)
  }

  async #count(): Promise<number> {
    let count = 0
    for await (const _ of this.#modules.table.iterate()) count++
    return count
  }

  #read<T>(name: string, args: readonly unknown[]): Promise<T> {
    return readContract<T>(this.#modules.chain, VALIDATION, name, args)
  }
}
