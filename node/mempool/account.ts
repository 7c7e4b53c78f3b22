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
    return this.#list.slice(0, this.#executableCount())
  }

  get queued(): readonly PooledTx[] {
    return this.#list.slice(this.#executableCount())
  }

  /** Of all, by nonce; for choosing whom to evict. */
  get all(): readonly PooledTx[] {
    return this.#list
  }

  /** First nonce no waiting transaction uses. */
  get nextNonce(): bigint {
    return this.#next + BigInt(this.#executableCount())
  }

  at(nonce: bigint): PooledTx | undefined {
    return this.#list.find((entry) => entry.tx.nonce === nonce)
  }

  put(entry: PooledTx): PooledTx | undefined {
    let at = this.#list.findIndex((other) => other.tx.nonce >= entry.tx.nonce)
    if (at < 0) at = this.#list.length
    const isReplacement = this.#list[at]?.tx.nonce === entry.tx.nonce
    const [replaced] = this.#list.splice(at, isReplacement ? 1 : 0, entry)
    this.#total += entry.cost - (replaced?.cost ?? 0n)
    return replaced
  }

  remove(entry: PooledTx): void {
    const at = this.#list.indexOf(entry)
    if (at < 0) return
    this.#list.splice(at, 1)
    this.#total -= entry.cost
  }

  /** Takes the account as it is after a block; returns what cannot run any more, already removed. */
  revalidate(account: AccountRecord | null, isDelegated: boolean): PooledTx[] {
    this.#next = account?.nonce ?? 0n
    this.#balance = account?.balance ?? 0n
    this.isDelegated = isDelegated
    const dropped = this.#list.filter((entry) => entry.tx.nonce < this.#next)
    for (const entry of dropped) this.remove(entry)
    const max = isDelegated ? 1 : Number.POSITIVE_INFINITY
    while (this.#list.length > max || this.#total > this.#balance) {
      const last = this.#list.at(-1)
      if (!last) break
      this.remove(last)
      dropped.push(last)
    }
    return dropped
  }

  #executableCount(): number {
    let count = 0
    while (this.#list[count]?.tx.nonce === this.#next + BigInt(count)) count++
    return count
  }
}
