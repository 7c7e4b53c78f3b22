/**
 * Whom to drop when the pool is full, decided before anything is changed. Three classes:
 *
 *   0  executable, among the first `executablePerAccount` of its account   (kept longest)
 *   1  executable beyond that                                              (one account may not fill the pool)
 *   2  queued: waits for an earlier nonce                                   (goes first)
 *
 * A newcomer drops transactions of a worse class, and of its own class those with a lower tip; a queued
 * newcomer drops nobody. Accounts lose their last nonce first, so nobody's chain gets a hole.
 */
import type { AccountQueue, PooledTx } from './account.ts'
import { effectiveTip } from './order.ts'

type Rank = { readonly class: 0 | 1 | 2; readonly tip: bigint }

export type Newcomer = {
  readonly account: AccountQueue
  readonly isExecutable: boolean
  /** Place among its account's executable transactions. */
  readonly index: number
  readonly tip: bigint
}

/** null: not enough room can be made for it. */
export function planEviction(
  accounts: Iterable<AccountQueue>,
  newcomer: Newcomer,
  args: { slotsNeeded: number; executablePerAccount: number; baseFee: bigint },
): PooledTx[] | null {
  if (!newcomer.isExecutable) return null
  const classOf = (index: number) => (index < args.executablePerAccount ? 0 : 1)
  const own: Rank = { class: classOf(newcomer.index), tip: newcomer.tip }
  const tails = [...accounts]
    .filter((account) => account !== newcomer.account)
    .map((account) => ({
      list: account.all,
      executable: account.executableCount,
      at: account.size,
    }))
  const plan: PooledTx[] = []
  for (let freed = 0; freed < args.slotsNeeded; ) {
    let worst: { tail: (typeof tails)[number]; entry: PooledTx; rank: Rank } | undefined
    for (const tail of tails) {
      const entry = tail.list[tail.at - 1]
      if (!entry) continue
      const isQueued = tail.at > tail.executable
      const tip = effectiveTip(entry.tx, args.baseFee) ?? -1n
      const rank: Rank = { class: isQueued ? 2 : classOf(tail.at - 1), tip }
      if (!worst || isWorse(rank, worst.rank)) worst = { tail, entry, rank }
    }
    if (!worst || !isWorse(worst.rank, own)) return null
    worst.tail.at--
    plan.push(worst.entry)
    freed += worst.entry.slots
  }
  return plan
}

function isWorse(a: Rank, b: Rank): boolean {
  return a.class === b.class ? a.tip < b.tip : a.class > b.class
}
