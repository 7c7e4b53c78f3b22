/**
 * Channels, sum tree and payouts over random receipts: every wei and every part of 2^32 is somewhere, once.
 * OPENLEDGER_RECEIPTS sets how many (default 3,000; the figure in the README comes from 1,000,000).
 */
import fc from 'fast-check'
import t from 'tap'
import { CLAIM_BYTES, type Claim, decodeClaims, mix } from '../../precompiles/mix.ts'
import { splitAmount, WEIGHT_ONE } from '../../precompiles/score.ts'
import { type SumLeaf, sumProof, sumRoot, verifySum } from '../../precompiles/sum-tree.ts'

const RECEIPTS = Number(process.env.OPENLEDGER_RECEIPTS ?? 3_000)
const K = 4

/** xorshift32: the same receipts every time. */
let state = 0x9e3779b9
function draw(below: number): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % below
}

function randomReceipt(): { fee: bigint; weights: ReturnType<typeof mix> } {
  const count = 1 + draw(40)
  const table = {
    k: K,
    top: 1 + draw(32),
    sums: Int32Array.from({ length: count * K }, () => draw(2_001) - 1_000),
    multipliers: Uint32Array.from({ length: count }, () => [0, 1, 65_536][draw(3)] as number),
  }
  const claims = Array.from(
    { length: draw(8) },
    (): Claim => ({
      kind: draw(2) === 0 ? 'span' : 'retrieval',
      contributor: draw(count),
      row: draw(100),
      start: draw(100),
      length: 1 + draw(20),
      score: 1 + draw(5_000),
    }),
  )
  const gradient = draw(10_001)
  const span = draw(10_001 - gradient)
  const channels = { gradient, span, retrieval: 10_000 - gradient - span }
  const sketch = Int8Array.from({ length: K }, () => draw(255) - 127)
  const fee = (BigInt(draw(2 ** 31)) << BigInt(draw(90))) + BigInt(draw(1_000))
  return { fee, weights: mix(table, sketch, claims, channels) }
}

t.test(`payouts of ${RECEIPTS} random receipts sum to their fees, to the wei`, async (t) => {
  let paid = 0
  for (let i = 0; i < RECEIPTS; i++) {
    const { fee, weights } = randomReceipt()
    const part = (share: bigint): bigint =>
      (fee / 10_000n) * share + ((fee % 10_000n) * share) / 10_000n
    const [platform, owner, stakers] = [part(1_000n), part(2_000n), part(2_000n)]
    const contributors = fee - platform - owner - stakers
    const amounts = splitAmount(contributors, weights)
    if (weights.length === 0) continue
    paid++
    const whole = weights.reduce((sum, { weight }) => sum + weight, 0n)
    const sum = amounts.reduce((a, b) => a + b, platform + owner + stakers)
    if (whole !== WEIGHT_ONE || sum !== fee || amounts.some((amount) => amount < 0n))
      throw new Error(`receipt ${i}: ${sum} of ${fee} wei, ${whole} of 2^32`)
  }
  t.ok(paid > RECEIPTS / 2, `${paid} of them name contributors`)
})

const leaves = fc.array(
  fc.record({
    index: fc.nat(),
    account: fc.uint8Array({ minLength: 20, maxLength: 20 }),
    weight: fc.bigInt({ min: 0n, max: 1n << 40n }),
  }),
  { minLength: 1, maxLength: 40 },
)

t.test(
  'every share has a proof that also fixes the sum of all, and a changed one has none',
  async () => {
    fc.assert(
      fc.property(leaves, fc.nat(), (all: SumLeaf[], pick) => {
        const at = pick % all.length
        const root = sumRoot(all)
        const leaf = all[at] as SumLeaf
        const total = all.reduce((sum, { weight }) => sum + weight, 0n)
        const proof = sumProof(all, at)
        const claim = { root, leaf, at, count: all.length, total }
        const more = { ...leaf, weight: leaf.weight + 1n }
        return (
          verifySum(proof, claim) &&
          !verifySum(proof, { ...claim, leaf: more }) &&
          !verifySum(proof, { ...claim, total: total + 1n }) &&
          !verifySum([...proof, proof[0] ?? { hash: new Uint8Array(32), sum: 0n }], claim) &&
          !verifySum(proof, { ...claim, at: all.length })
        )
      }),
    )
  },
)

t.test('a channel that names nobody leaves its part to the others', async (t) => {
  const table = { k: 1, top: 8, sums: Int32Array.of(3, 1), multipliers: Uint32Array.of(1, 1) }
  const claim: Claim = { kind: 'span', contributor: 1, row: 0, start: 0, length: 6, score: 9 }
  const channels = { gradient: 6_000, span: 3_000, retrieval: 1_000 }
  const alone = mix(table, Int8Array.of(-1), [claim], channels)
  t.same(alone, [{ index: 1, weight: WEIGHT_ONE }], 'no gradient, no retrieval: all to the span')
  // 2/3 * (3/4, 1/4) + 1/3 * (0, 1): a half each.
  const both = mix(table, Int8Array.of(1), [claim], channels)
  t.same(
    both,
    [0, 1].map((index) => ({ index, weight: WEIGHT_ONE / 2n })),
  )
  const silenced = { ...table, multipliers: Uint32Array.of(1, 0) }
  t.same(mix(silenced, Int8Array.of(1), [claim], channels), [{ index: 0, weight: WEIGHT_ONE }])
})

t.test('any bytes are claims or a reason, never an exception', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 * CLAIM_BYTES }), fc.nat(5), (bytes, count) => {
      const claims = decodeClaims(bytes, count)
      return typeof claims === 'string' || claims.every(({ contributor }) => contributor < count)
    }),
  )
  t.match(decodeClaims(new Uint8Array(17 * 65), 1), /at most 64/)
  t.match(decodeClaims(new Uint8Array(17), 1), /no channel/)
})
