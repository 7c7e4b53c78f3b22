/** The order of candidates against its slow twin: look at every account's next one, each time. */
import fc from 'fast-check'
import t from 'tap'
import type { SignedTx } from '../../../node/chain/tx.ts'
import { bestFirst, effectiveTip } from '../../../node/mempool/order.ts'

type Entry = { tx: SignedTx; sequence: number }

function entry(cap: number, tip: number, sequence: number): Entry {
  const tx = { maxFeePerGas: BigInt(cap), maxPriorityFeePerGas: BigInt(tip) } as SignedTx
  return { tx, sequence }
}

function naive(lists: readonly (readonly Entry[])[], baseFee: bigint): Entry[] {
  const rest = lists.map((list) => [...list])
  const out: Entry[] = []
  for (;;) {
    const heads = rest
      .map((list) => ({ list, tip: list[0] ? effectiveTip(list[0].tx, baseFee) : null }))
      .filter((head) => head.tip !== null)
      .sort((a, b) => {
        if (a.tip !== b.tip) return (a.tip as bigint) > (b.tip as bigint) ? -1 : 1
        return (a.list[0] as Entry).sequence - (b.list[0] as Entry).sequence
      })
    const best = heads[0]?.list.shift()
    if (!best) return out
    out.push(best)
  }
}

t.test('best tip first, nonces in order, earlier arrival among equals', async (t) => {
  const one = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 20 }))
  fc.assert(
    fc.property(
      fc.array(fc.array(one, { maxLength: 6 }), { maxLength: 12 }),
      fc.nat(15),
      (raw, fee) => {
        let sequence = 0
        const lists = raw.map((list) => list.map(([cap, tip]) => entry(cap, tip, sequence++)))
        const got = [...bestFirst(lists, BigInt(fee))].map((found) => found.sequence)
        t.same(
          got,
          naive(lists, BigInt(fee)).map((found) => found.sequence),
        )
      },
    ),
    { numRuns: 300 },
  )
})

t.test('an account stops at the first transaction below the base fee', async (t) => {
  const list = [entry(10, 1, 0), entry(4, 1, 1), entry(10, 9, 2)]
  t.same(
    [...bestFirst([list], 5n)].map((found) => found.sequence),
    [0],
  )
})

t.test('the tip is what the fee cap leaves above the base fee', async (t) => {
  t.equal(effectiveTip(entry(10, 3, 0).tx, 5n), 3n)
  t.equal(effectiveTip(entry(10, 30, 0).tx, 5n), 5n)
  t.equal(effectiveTip(entry(4, 1, 0).tx, 5n), null)
})
