import fc from 'fast-check'
import t from 'tap'
import { fromHex, type Hex, keccakHex, toHex } from '../../../node/base/bytes.ts'
import {
  decodeDepositLog,
  deriveDeposits,
  TRANSACTION_DEPOSITED,
} from '../../../node/derive/deposits.ts'
import type { L1Log } from '../../../node/l1/types.ts'
import { vectors } from './vectors.ts'
import { depositLog, hashOf, testConfig } from './world.ts'

const portal = testConfig().portal
const word = (value: number) => value.toString(16).padStart(64, '0')

t.test('public deposit logs become their transactions', async (t) => {
  for (const { name, l1BlockHash, topics, data, logIndex, tx } of vectors.deposit_event_to_tx) {
    const log = { address: portal, topics, data: fromHex(data), logIndex }
    const decoded = decodeDepositLog(log, l1BlockHash)
    t.equal(typeof decoded === 'string' ? decoded : toHex(decoded), tx, name)
  }
})

t.test('an OP Mainnet deposit has the hash it has on OP Mainnet', async (t) => {
  for (const v of vectors.deposit_l2_tx_hash) {
    const opaque = v.opaqueData.slice(2)
    const padding = '0'.repeat((64 - (opaque.length % 64)) % 64)
    const address = (a: Hex): Hex => `0x${'0'.repeat(24)}${a.slice(2)}`
    const log: L1Log = {
      address: portal,
      topics: [TRANSACTION_DEPOSITED, address(v.from), address(v.to), `0x${word(0)}`],
      data: fromHex(`0x${word(32)}${word(opaque.length / 2)}${opaque}${padding}`),
      logIndex: v.logIndex,
    }
    const decoded = decodeDepositLog(log, v.l1BlockHash)
    t.equal(typeof decoded === 'string' ? decoded : keccakHex(decoded), v.l2TxHash)
  }
})

t.test('only the portal and only the deposit event count', async (t) => {
  const good = depositLog(0, 5n)
  const { transactions, trace } = deriveDeposits(
    {
      hash: hashOf('l1'),
      portalLogs: [
        { ...good, address: '0x0000000000000000000000000000000000000001' },
        { ...good, topics: [hashOf('other event'), ...good.topics.slice(1)] },
        { ...good, topics: [] },
        good,
      ],
    },
    portal,
  )
  t.equal(transactions.length, 1)
  t.same(trace, [])
})

t.test('a malformed log is skipped with its reason, the others stay', async (t) => {
  const good = depositLog(0, 5n)
  const data = (hex: string) => ({ ...good, data: fromHex(`0x${hex}`) })
  const topics = (...changed: Hex[]) => ({ ...good, topics: [TRANSACTION_DEPOSITED, ...changed] })
  const [, from, to, version] = good.topics as [Hex, Hex, Hex, Hex]
  const rest = toHex(good.data).slice(2 + 64)
  const cases: [L1Log, string][] = [
    [topics(from, to), 'wrong number of topics'],
    [topics(`0x${'11'.repeat(32)}`, to, version), 'topic is not an address'],
    [topics(from, to, `0x${word(1)}`), 'unknown deposit version'],
    [data(''), 'malformed log data'],
    [data(word(64) + rest), 'malformed log data'],
    [data(`${word(32)}${rest}${word(0)}`), 'malformed log data'],
    [data(word(32) + rest.slice(0, -2)), 'malformed log data'],
    [data(`${word(32)}${rest.slice(0, -2)}01`), 'malformed log data'], // padding is not zero
    [data(word(32) + word(2 ** 40) + rest.slice(64)), 'malformed log data'],
    [data(word(32) + word(32) + word(0)), 'opaque data too short'],
    [
      data(`${word(32)}${word(73)}${'00'.repeat(72)}02${'00'.repeat(23)}`),
      'isCreation is neither 0 nor 1',
    ],
  ]
  for (const [log, reason] of cases) {
    const { transactions, trace } = deriveDeposits(
      { hash: hashOf('l1'), portalLogs: [log, depositLog(7, 1n)] },
      portal,
    )
    t.equal(transactions.length, 1)
    t.same(trace, [{ stage: 'deposit', logIndex: 0, reason }])
  }
})

t.test('random log data never throws', async () => {
  const topic = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex)
  fc.assert(
    fc.property(
      fc.array(topic, { maxLength: 5 }),
      fc.uint8Array({ maxLength: 300 }),
      (topics, data) => {
        decodeDepositLog({ address: portal, topics, data, logIndex: 0 }, hashOf('l1'))
      },
    ),
  )
})
