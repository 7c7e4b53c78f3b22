import t from 'tap'
import type { SingularBatch } from '../../../node/derive/batch.ts'
import { nextOrigin } from '../../../node/derive/origin.ts'
import { type BatchContext, judgeBatch } from '../../../node/derive/verdict.ts'
import type { L1BlockData } from '../../../node/l1/types.ts'
import { hashOf, makeL1, testConfig } from './world.ts'

const config = testConfig({ maxSequencerDrift: 10n }) // blocks of 2 s, window of 10 L1 blocks
const [epoch, next] = makeL1([12, 12]) as [L1BlockData, L1BlockData]
const at = (seconds: bigint) => config.genesis.l2Time + seconds

/** The safe head stands `seconds` after its L1 origin. */
function contextAt(seconds: bigint, change: Partial<BatchContext> = {}): BatchContext {
  const safe = {
    hash: hashOf('safe'),
    number: 5n,
    timestamp: at(seconds),
    l1Origin: { hash: epoch.hash, number: epoch.number },
    sequenceNumber: 5n,
  }
  return { config, safe, epoch, nextEpoch: next, inclusion: epoch.number + 2n, ...change }
}

function batchAt(seconds: bigint, change: Partial<SingularBatch> = {}): SingularBatch {
  return {
    parentHash: hashOf('safe'),
    epochNumber: epoch.number,
    epochHash: epoch.hash,
    timestamp: at(seconds),
    transactions: [],
    ...change,
  }
}

const onNext = { epochNumber: next.number, epochHash: next.hash }
const full = { transactions: [Uint8Array.of(2)] }
const blind = { nextEpoch: undefined }

const rows: [name: string, batch: SingularBatch, context: BatchContext, verdict: string][] = [
  ['the next block', batchAt(4n, full), contextAt(2n), 'accept'],
  ['a block already there', batchAt(2n), contextAt(2n), 'past: timestamp in the past'],
  ['a block with one missing between', batchAt(6n), contextAt(2n), 'drop: timestamp in the future'],
  ['the last block before the next L1 block', batchAt(10n, full), contextAt(8n), 'accept'],
  ['its last second of drift', batchAt(10n, full), contextAt(8n, blind), 'accept'],
  [
    'past the drift, empty, next L1 block later',
    batchAt(12n),
    contextAt(10n, { nextEpoch: { ...next, timestamp: at(13n) } }),
    'accept',
  ],
  [
    'past the drift, with transactions',
    batchAt(12n, full),
    contextAt(10n),
    'drop: sequencer drift exceeded',
  ],
  [
    'past the drift, empty, next L1 block reached',
    batchAt(12n),
    contextAt(10n),
    'drop: sequencer drift exceeded',
  ],
  [
    'past the drift, empty, next L1 block unknown',
    batchAt(12n),
    contextAt(10n, blind),
    'undecided: next L1 block not known',
  ],
  [
    'the first block of the next epoch',
    batchAt(12n, { ...onNext, ...full }),
    contextAt(10n),
    'accept',
  ],
  [
    'the next epoch, not known yet',
    batchAt(12n, onNext),
    contextAt(10n, blind),
    'undecided: next L1 block not known',
  ],
  [
    'the next epoch too early',
    batchAt(10n, onNext),
    contextAt(8n),
    'drop: timestamp before its L1 origin',
  ],
  [
    'the last L1 block of the window',
    batchAt(4n),
    contextAt(2n, { inclusion: epoch.number + 10n }),
    'accept',
  ],
  [
    'one L1 block after the window',
    batchAt(4n),
    contextAt(2n, { inclusion: epoch.number + 11n }),
    'drop: sequencing window expired',
  ],
  [
    'the next epoch is still in its window then',
    batchAt(12n, onNext),
    contextAt(10n, { inclusion: epoch.number + 11n }),
    'accept',
  ],
]

for (const [name, batch, context, expected] of rows) {
  t.test(`${name}: ${expected}`, async (t) => {
    const verdict = judgeBatch(batch, context)
    t.equal(verdict.kind === 'accept' ? 'accept' : `${verdict.kind}: ${verdict.reason}`, expected)
  })
}

t.test('whatever origin the sequencer chooses, derivation accepts', async (t) => {
  const seen = new Set<string>()
  for (let seconds = 0n; seconds < 40n; seconds += 2n) {
    for (const nextEpoch of [undefined, next]) {
      const { safe } = contextAt(seconds)
      const chosen = nextOrigin({ config, parent: safe, epoch, nextEpoch })
      seen.add(chosen.kind)
      if (chosen.kind === 'wait') continue
      const { origin, empty } = chosen
      const own = { epochNumber: origin.number, epochHash: origin.hash, ...(empty ? {} : full) }
      const context = contextAt(seconds, { nextEpoch })
      t.equal(
        judgeBatch(batchAt(seconds + 2n, own), context).kind,
        'accept',
        `${seconds} ${nextEpoch?.number}`,
      )
    }
  }
  t.same([...seen].sort(), ['origin', 'wait'])
})
