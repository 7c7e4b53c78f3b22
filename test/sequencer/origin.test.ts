import t from 'tap'
import { ZERO_HASH } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import type { OriginWithLogs } from '../../node/l1/reader.ts'
import { type OriginReader, OriginSelector } from '../../sequencer/origin.ts'
import { testConfig } from '../support/chain.ts'

const { l1 } = testConfig.genesis
const START = testConfig.genesis.l2Time
const options = { confirmations: 0n, lookupMsMax: 5 }

function originAt(number: bigint, parentHash = l1.hash): OriginWithLogs {
  const hash = number === l1.number ? l1.hash : (`0x${'0'.repeat(63)}${number}` as const)
  const logs = { portalLogs: [], configLogs: [] }
  const zero = { prevRandao: ZERO_HASH, parentBeaconBlockRoot: ZERO_HASH, ...logs }
  const timestamp = START + (number - l1.number) * 12n
  return { number, hash, parentHash, timestamp, baseFee: 1n, blobBaseFee: 1n, ...zero }
}

function parentAt(seconds: bigint) {
  return {
    hash: ZERO_HASH,
    number: seconds,
    timestamp: START + seconds,
    l1Origin: { hash: l1.hash, number: l1.number },
    sequenceNumber: 0n,
  }
}

const select = (reader: OriginReader) =>
  new OriginSelector(options, { config: testConfig, reader, log: silentLog })
const epoch = originAt(l1.number)
const next = originAt(l1.number + 1n)

t.test('it moves on as soon as L2 time has reached the next L1 block', async (t) => {
  const selector = select({
    head: async () => next,
    originWithLogs: async (number) => (number === l1.number ? epoch : next),
  })
  t.match(await selector.choose(parentAt(10n)), { kind: 'origin', origin: epoch, empty: false })
  t.match(await selector.choose(parentAt(11n)), { kind: 'origin', origin: next, empty: false })
})

t.test('a block does not wait for an L1 that is slow or away', async (t) => {
  const answer = Promise.withResolvers<OriginWithLogs>()
  const selector = select({
    head: () => answer.promise,
    originWithLogs: async (number) => (number === l1.number ? epoch : next),
  })
  t.match(await selector.choose(parentAt(20n)), { kind: 'origin', origin: epoch })
  const drift = testConfig.maxSequencerDrift
  t.same(await selector.choose(parentAt(drift)), { kind: 'wait' }, 'until the drift is used up')
  answer.resolve(next)
  t.match(await selector.choose(parentAt(20n)), { origin: next }, 'a late answer still serves')

  const away = select({
    head: () => Promise.reject(new Error('L1 is away')),
    originWithLogs: async () => epoch,
  })
  t.match(await away.choose(parentAt(20n)), { kind: 'origin', origin: epoch })
})

t.test('an L1 reorganised under the parent is told', async (t) => {
  const forked = originAt(l1.number + 1n, `0x${'ee'.repeat(32)}`)
  const selector = select({
    head: async () => forked,
    originWithLogs: async (number) => (number === l1.number ? epoch : forked),
  })
  await t.rejects(selector.choose(parentAt(20n)), { code: 'l1-origin', severity: 'reset' })
  const gone = select({ head: async () => next, originWithLogs: async () => next })
  await t.rejects(gone.choose(parentAt(1n)), { code: 'l1-origin' })
})
