/** One sender's queue against its slow twin: a sorted list looked through from the start each time. */
import fc from 'fast-check'
import t from 'tap'
import { EMPTY_ACCOUNT } from '../../../node/chain/account.ts'
import type { SignedTx } from '../../../node/chain/tx.ts'
import { AccountQueue, type PooledTx } from '../../../node/mempool/account.ts'

function entry(nonce: bigint, cost: bigint): PooledTx {
  return { tx: { nonce } as SignedTx, cost, sequence: 0, addedAt: 0, slots: 1 }
}

const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), nonce: fc.nat(20), cost: fc.nat(9) }),
  fc.record({ do: fc.constant('remove' as const), nonce: fc.nat(20) }),
  fc.record({
    do: fc.constant('block' as const),
    next: fc.nat(20),
    balance: fc.nat(120),
    isDelegated: fc.constantFrom(false, false, false, true),
  }),
)

t.test('the queue is its slow twin after any puts, removals and blocks', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new AccountQueue({ ...EMPTY_ACCOUNT, balance: 1_000n }, false)
      const model = new Map<bigint, PooledTx>()
      let next = 0n
      for (const one of steps) {
        if (one.do === 'put') {
          const added = entry(BigInt(one.nonce), BigInt(one.cost))
          t.equal(queue.put(added), model.get(added.tx.nonce))
          model.set(added.tx.nonce, added)
        } else if (one.do === 'remove') {
          const gone = model.get(BigInt(one.nonce))
          queue.remove(gone ?? entry(BigInt(one.nonce), 0n))
          model.delete(BigInt(one.nonce))
        } else {
          next = BigInt(one.next)
          const account = { ...EMPTY_ACCOUNT, nonce: next, balance: BigInt(one.balance) }
          const dropped = queue.revalidate(account, one.isDelegated)
          const expected = dropOf(model, next, account.balance, one.isDelegated)
          t.same(new Set(dropped), new Set(expected))
          for (const { tx } of expected) model.delete(tx.nonce)
        }
        const all = sorted(model)
        let ready = 0
        while (all[ready]?.tx.nonce === next + BigInt(ready)) ready++
        t.same(queue.all, all)
        t.same(queue.executable, all.slice(0, ready))
        t.same(queue.queued, all.slice(ready))
        t.equal(queue.executableCount, ready)
        t.equal(queue.nextNonce, next + BigInt(ready))
        t.equal(
          queue.totalCost,
          all.reduce((sum, { cost }) => sum + cost, 0n),
        )
        for (let nonce = 0n; nonce <= 20n; nonce++) t.equal(queue.at(nonce), model.get(nonce))
      }
    }),
    { numRuns: 60 },
  )
})

function sorted(model: ReadonlyMap<bigint, PooledTx>): PooledTx[] {
  return [...model.values()].sort((a, b) => Number(a.tx.nonce - b.tx.nonce))
}

/** Used up; then from the last nonce on what one may not have or cannot pay. */
function dropOf(
  model: ReadonlyMap<bigint, PooledTx>,
  next: bigint,
  balance: bigint,
  isDelegated: boolean,
): PooledTx[] {
  const dropped = sorted(model).filter(({ tx }) => tx.nonce < next)
  const rest = sorted(model).filter(({ tx }) => tx.nonce >= next)
  const total = (): bigint => rest.reduce((sum, { cost }) => sum + cost, 0n)
  while (rest.length && ((isDelegated && rest.length > 1) || total() > balance)) {
    dropped.push(rest.pop() as PooledTx)
  }
  return dropped
}
