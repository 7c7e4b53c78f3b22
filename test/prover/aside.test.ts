/** Receipts that cannot be checked now wait, each for itself, and not for ever. */
import { join } from 'node:path'
import t from 'tap'
import { type Hex, keccakHex, utf8 } from '../../node/base/bytes.ts'
import { NodeError, userError } from '../../node/base/errors.ts'
import { ContentError } from '../../node/content/errors.ts'
import { P2PError } from '../../node/p2p/errors.ts'
import { Store } from '../../node/store/store.ts'
import { Aside, wrongBy } from '../../prover/aside.ts'
import { workDir } from '../support/dir.ts'

t.test(
  'one that stays unchecked holds up no other, is asked for ever more seldom, and let go',
  async (t) => {
    const store = await Store.open(join(workDir(t), 'store'))
    t.teardown(() => store.close())
    const table = store.table('unverified')
    let now = 0
    const aside = new Aside(table, () => now)
    const [one, other] = [keccakHex(utf8('one')), keccakHex(utf8('other'))].sort() as [Hex, Hex]
    await aside.put(one, 1n)
    await aside.put(other, 2n)
    t.equal(await aside.due(), null)
    now = 10_000
    t.equal(await aside.due(), one)
    await aside.put(one, 1n)
    t.equal(await aside.due(), other, 'the first has to wait again')
    now += 20_000
    t.equal(await aside.due(), other, 'whose time came first, whatever its hash')
    now -= 20_000
    await aside.delete(other)
    t.equal(await aside.due(), null)
    now += 19_999
    t.equal(await aside.due(), null, 'twice as long')
    now += 1
    t.equal(await aside.due(), one)
    t.equal(await new Aside(table, () => 0).due(), one, 'after a restart all are due')

    let looks = 2
    for (; await aside.put(one, 1n); looks++) now += 3_600_000
    t.equal(looks, 250)
    now += 3_600_000
    t.equal(await aside.due(), null)
  },
)

t.test('only content that is there and is nothing is wrong', (t) => {
  for (const code of ['leaves', 'training-report', 'vectors', 'corpus', 'datanet-rows'])
    t.match(wrongBy(userError(code, 'garbage'), 'table'), {
      stage: 'table',
      field: code,
      found: 'garbage',
    })
  for (const error of [
    new P2PError('rate-limited', 'asked too much'),
    new P2PError('timeout', 'no answer'),
    new P2PError('not-found', 'has it not'),
    new ContentError('content-missing', 'not here'),
    new NodeError('content-not-shown', 'retry', 'nobody shows it'),
    userError('model-base', 'another base'),
    userError('datanet-private', 'no grant'),
    new TypeError('a fault of ours'),
  ])
    t.equal(wrongBy(error, 'model'), null, error.message)
  t.end()
})
