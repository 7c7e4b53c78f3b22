/**
 * The waiting transactions of one sender, by nonce. Those from the account's next nonce on without a hole
 * are executable, the rest is queued until the hole is filled.
 */
import type { AccountRecord } from '../chain/account.ts'
import type { SignedTx } from '../chain/tx.ts'

export type PooledTx = {
  readonly tx: SignedTx
  /** wei it may take from the account at most. */
  readonly cost: bigint
  /** Order of arrival. */
  readonly sequence: number
  /** Seconds; for the lifetime only. */
  readonly addedAt: number
  /** Share of the pool's room. */
  readonly slots: number
}

export class AccountQueue {
  #next: bigint
  #balance: bigint
  #total = 0n
  isDelegated: boolean
  /** Ascending by nonce. */
  readonly #list: PooledTx[] = []
  /** How many at the front of the list follow each other from `#next` on. */
  #ready = 0

  constructor(account: AccountRecord | null, isDelegated: boolean) {
    this.#next = account?.nonce ?? 0n
    this.#balance = account?.balance ?? 0n
    this.isDelegated = isDelegated
  }

  get size(): number {
    return this.#list.length
  }

  get balance(): bigint {
    return this.#balance
  }

  /** wei all waiting transactions may take together. */
  get totalCost(): bigint {
    return this.#total
  }

  get executable(): readonly PooledTx[] {
    return this.#list.slice(0, this.#ready)
  }

  get executableCount(): number {
    return this.#ready
  }

  get queued(): readonly PooledTx[] {
    return this.#list.slice(this.#ready)
  }

  /** Of all, by nonce; for choosing whom to evict. */
  get all(): readonly PooledTx[] {
    return this.#list
  }

  /** First nonce no waiting transaction uses. */
  get nextNonce(): bigint {
    return this.#next + BigInt(this.#ready)
  }

  at(nonce: bigint): PooledTx | undefined {
    const entry = this.#list[this.#placeOf(nonce)]
    return entry?.tx.nonce === nonce ? entry : undefined
  }

  put(entry: PooledTx): PooledTx | undefined {
    const at = this.#placeOf(entry.tx.nonce)
    const isReplacement = this.#list[at]?.tx.nonce === entry.tx.nonce
    const [replaced] = this.#list.splice(at, isReplacement ? 1 : 0, entry)
    this.#total += entry.cost - (replaced?.cost ?? 0n)
    // Before those that follow each other: a nonce the account has used.
    if (!replaced && at < this.#ready) this.#ready = 0
    this.#advance()
    return replaced
  }

  remove(entry: PooledTx): void {
    const at = this.#placeOf(entry.tx.nonce)
    if (this.#list[at] !== entry) return
    this.#list.splice(at, 1)
    this.#total -= entry.cost
    this.#ready = Math.min(this.#ready, at)
    this.#advance()
  }

  /** Takes the account as it is after a block; returns what cannot run any more, already removed. */
  revalidate(account: AccountRecord | null, isDelegated: boolean): PooledTx[] {
    this.#next = account?.nonce ?? 0n
    this.#balance = account?.balance ?? 0n
    this.isDelegated = isDelegated
    const dropped = this.#list.splice(0, this.#placeOf(this.#next))
    for (const { cost } of dropped) this.#total -= cost
    const followsOn = this.#list[0]?.tx.nonce === this.#next
    this.#ready = followsOn ? Math.max(0, this.#ready - dropped.length) : 0
    this.#advance()
    const max = isDelegated ? 1 : Number.POSITIVE_INFINITY
    while (this.#list.length > max || this.#total > this.#balance) {
      const last = this.#list.at(-1)
      if (!last) break
      this.remove(last)
      dropped.push(last)
    }
    return dropped
  }

  /** Index of the first transaction with this nonce or a later one. */
  #placeOf(nonce: bigint): number {
    let [low, high] = [0, this.#list.length]
    // Most come in order and go to the end.
    if (high > 0 && (this.#list[high - 1] as PooledTx).tx.nonce < nonce) return high
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#list[middle] as PooledTx).tx.nonce < nonce) low = middle + 1
      else high = middle
    }
    return low
  }

  #advance(): void {
    while (this.#list[this.#ready]?.tx.nonce === this.#next + BigInt(this.#ready)) this.#ready++
  }
}
