import t from 'tap'
import type { InferenceReceipt } from '../../node/attribution/receipt.ts'
import { tokensCommit } from '../../node/attribution/request.ts'
import { type Hex, keccak, toHex, utf8 } from '../../node/base/bytes.ts'
import { type Inference, sketchHash, traceRoot } from '../../node/model/infer.ts'
import { encodeClaims } from '../../precompiles/mix.ts'
import { compareInference, comparePayouts, type Difference } from '../../prover/compare.ts'
import { explainDifference } from '../../prover/explain.ts'

const leaves = (...names: string[]): Uint8Array[] => names.map((name) => keccak(utf8(name)))
const SPAN = { kind: 'span', contributor: 1, row: 4, start: 0, length: 3, score: 90 } as const
const honest: Inference = {
  tokens: Uint32Array.of(7, 8, 9),
  trace: leaves('a', 'b', 'c'),
  sketch: Int8Array.of(1, -2, 127),
  claims: encodeClaims([SPAN]),
}

/** The receipt of a provider that computed `run`; fields that these comparisons do not read are left out. */
function claimOf(run: Inference): InferenceReceipt {
  return {
    outputCommit: tokensCommit(run.tokens),
    tokensOut: run.tokens.length,
    traceRoot: traceRoot(run.trace),
    sketchHash: sketchHash(run.sketch),
  } as InferenceReceipt
}
const evidenceOf = (run: Inference) => ({
  tokens: [...run.tokens],
  trace: run.trace,
  replayed: null,
  unadapted: null,
  sketch: run.sketch,
  claims: run.claims,
})

t.test('an honest receipt differs nowhere', async (t) => {
  t.equal(compareInference(claimOf(honest), evidenceOf(honest), honest), null)
})

t.test('the first differing step is named by its logits', async (t) => {
  const cheat = { ...honest, tokens: Uint32Array.of(7, 1, 9), trace: leaves('a', 'x', 'c') }
  t.match(compareInference(claimOf(cheat), evidenceOf(cheat), honest), {
    stage: 'trace',
    field: 'logits',
    index: 1,
    found: toHex(keccak(utf8('b'))),
  })
})

t.test('logits that the base gives without the adapter are named as such', async (t) => {
  const cheat = { ...honest, tokens: Uint32Array.of(7, 1, 9), trace: leaves('a', 'x', 'c') }
  const evidence = { ...evidenceOf(cheat), unadapted: leaves('a', 'x', 'y') }
  const difference = compareInference(claimOf(cheat), evidence, honest)
  t.match(difference, { stage: 'trace', field: 'adapter', index: 1 })
  t.match(explainDifference(difference as Difference), {
    operator: /^forward pass: the base without the LoRA adapter/,
    tile: 'logits of token 1 of the answer',
  })
})

t.test('another token than the sampler chose from honest logits is named as such', async (t) => {
  const cheat = { ...honest, tokens: Uint32Array.of(7, 1, 2), trace: leaves('a', 'x', 'y') }
  const evidence = { ...evidenceOf(cheat), replayed: leaves('a', 'x', 'y') }
  t.same(compareInference(claimOf(cheat), evidence, honest), {
    stage: 'tokens',
    field: 'token',
    index: 1,
    claimed: '1',
    found: '8',
  })
  const forged = { ...evidence, replayed: leaves('a', 'z', 'y') }
  t.match(compareInference(claimOf(cheat), forged, honest), { stage: 'trace', index: 1 })
})

t.test('without the trace the first differing token is named', async (t) => {
  const cheat = { ...honest, tokens: Uint32Array.of(7, 8), trace: leaves('a', 'b') }
  const evidence = { ...evidenceOf(cheat), trace: null }
  t.same(compareInference(claimOf(cheat), evidence, honest), {
    stage: 'tokens',
    field: 'token',
    index: 2,
    claimed: 'nothing',
    found: '9',
  })
})

t.test('evidence that agrees does not excuse a root that does not', async (t) => {
  const receipt = { ...claimOf(honest), traceRoot: toHex(keccak(utf8('forged'))) }
  t.match(compareInference(receipt, evidenceOf(honest), honest), {
    stage: 'trace',
    field: 'traceRoot',
  })
})

t.test('a sketch bent towards somebody is named by entry', async (t) => {
  const cheat = { ...honest, sketch: Int8Array.of(1, -2, 126) }
  t.same(compareInference(claimOf(cheat), evidenceOf(cheat), honest), {
    stage: 'sketch',
    field: 'entry',
    index: 2,
    claimed: '126',
    found: '127',
  })
})

t.test('a span that is false, or withheld, is named by claim', async (t) => {
  const lie = { ...honest, claims: encodeClaims([{ ...SPAN, contributor: 0 }]) }
  t.same(compareInference(claimOf(lie), evidenceOf(lie), honest), {
    stage: 'claims',
    field: 'span',
    index: 0,
    claimed: 'span of 3 tokens at 0 of the answer: row 4 of contributor 0, score 90',
    found: 'span of 3 tokens at 0 of the answer: row 4 of contributor 1, score 90',
  })
  const silence = { ...honest, claims: new Uint8Array(0) }
  t.match(compareInference(claimOf(silence), evidenceOf(silence), honest), {
    stage: 'claims',
    index: 0,
    claimed: 'nothing',
  })
  const more = { ...honest, claims: encodeClaims([SPAN, SPAN]) }
  t.match(compareInference(claimOf(more), evidenceOf(more), honest), { index: 1, found: 'nothing' })
})

t.test('a payout that is missing, short or to another account is named', async (t) => {
  const account: Hex = `0x${'11'.repeat(20)}`
  const paid = [{ account, amount: 5n }]
  t.equal(comparePayouts(paid, paid), null)
  t.match(comparePayouts([], paid), {
    stage: 'payout',
    index: 0,
    claimed: 'nothing',
    found: `5 wei to ${account}`,
  })
  t.match(comparePayouts([{ account, amount: 4n }], paid), { claimed: `4 wei to ${account}` })
})
