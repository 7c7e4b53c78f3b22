/**
 * Settlement at scale: 200 receipts in batches of 50, a block each, with real signatures, two contributors paid by
 * each receipt; and `score` for 1,000 contributors x 1,024, native beside its twin. Gas and milliseconds.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { score as nativeScore } from '../../native/index.ts'
import { score } from '../../precompiles/score.ts'
import { bob, ETHER } from '../support/chain.ts'
import { carol, Economy } from '../support/economy.ts'
import {
  escrow,
  hashOf,
  receiptOf,
  receipts,
  registerModel,
  settlementOf,
} from '../support/model.ts'
import { conditions, median } from './conditions.ts'

const RECEIPTS = 200
const BATCH = 50

console.log(conditions())
const world = await Economy.open(mkdtempSync(join(tmpdir(), 'settle-')))
await registerModel(world)
await world.send(bob, escrow, 'deposit', [], { value: 10n * ETHER })
const batches = Array.from({ length: RECEIPTS / BATCH }, (_, b) =>
  Array.from({ length: BATCH }, (_, i) =>
    settlementOf(receiptOf({ requestId: hashOf(`${b} ${i}`) })),
  ),
)
const first = performance.now()
let gas = 0n
for (const batch of batches)
  gas += (await world.send(carol, receipts, 'settle', [batch], { gasLimit: 30_000_000n })).receipt
    .gasUsed
const settledMs = performance.now() - first
console.log(
  `${RECEIPTS} receipts, 2 contributors paid each, batches of ${BATCH}: ${gas} gas (${gas / BigInt(RECEIPTS)} each), ${settledMs.toFixed(0)} ms to build and store`,
)
await world.close()

const [k, count] = [1_024, 1_000]
const table = {
  k,
  top: 32,
  sums: Int32Array.from({ length: k * count }, (_, i) => Math.imul(i, 2_654_435_761) >> 8),
  multipliers: new Uint32Array(count).fill(65_536),
}
const query = Int8Array.from({ length: k }, (_, i) => (i * 37) % 255)
const timed = (work: () => void): number => {
  const times = Array.from({ length: 41 }, () => {
    const start = performance.now()
    work()
    return performance.now() - start
  })
  return median(times)
}
const native = timed(() => void nativeScore({ ...table, query }))
const twin = timed(() => void score(table, query))
console.log(
  `score, ${count} x ${k}: native ${native.toFixed(2)} ms, twin ${twin.toFixed(2)} ms (medians of 41)`,
)
