/** What an index over the chain is told, when it starts late, and when the process ended in the middle of a reorg. */
import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import type { Chain } from '../../../node/chain/chain.ts'
import { Follower } from '../../../node/chain/follower.ts'
import type { KvTable } from '../../../node/store/kv.ts'
import { extend } from '../../support/chain.ts'
import { Economy } from '../../support/economy.ts'

const ONE: Hex = `0x${'1'.padStart(64, '0')}`

function follower(chain: Chain, table: KvTable): { told: string[]; follower: Follower } {
  const told: string[] = []
  const index = {
    add: async ({ header, hash }: { header: { number: bigint }; hash: string }) => {
      told.push(`${header.number} ${hash}`)
      return []
    },
    leave: async (common: bigint) => {
      told.push(`back to ${common}`)
      return []
    },
  }
  return { told, follower: new Follower(chain, table, index) }
}

t.test('each index is told what it has not seen, of one branch', async (t) => {
  const { chain, store, close } = await Economy.open(t.testdir())
  const other = await Economy.open(`${t.testdirName}/other`)
  t.teardown(() => Promise.all([close(), other.close()]))
  const names = (from: bigint, to: bigint): string[] =>
    Array.from({ length: Number(to - from) + 1 }, (_, i) => {
      const number = from + BigInt(i)
      return `${number} ${chain.blockByNumber(number)?.hash}`
    })
  const tables = ['early', 'late'].map((name) => store.table(name)) as [KvTable, KvTable]

  await extend(chain)
  const early = follower(chain, tables[0])
  await Follower.start(chain, [early])
  t.same(early.told, names(1n, 1n))
  await extend(chain)
  await early.follower.settled()
  t.same(early.told, names(1n, 2n))

  // Two that start together, one of them new.
  const both = tables.map((table) => follower(chain, table))
  const [again, late] = both as [(typeof both)[0], (typeof both)[0]]
  await Follower.start(chain, both)
  t.same([again.told, late.told], [[], names(1n, 2n)])

  // What the disk holds when the process ends after a reorg and before the index was told.
  const stale = await tables[1].get(Buffer.from('cursor'))
  for (let i = 0; i < 3; i++) await extend(other.chain, [], { prevRandao: ONE })
  for (let number = 1n; number <= 3n; number++) {
    const block = other.chain.blockByNumber(number)
    if (block) await chain.importBlock(block)
  }
  t.equal(chain.headRef('unsafe').number, 3n)
  await late.follower.settled()
  t.same(late.told.slice(2), ['back to 0', ...names(1n, 3n)])
  await tables[1].put(Buffer.from('cursor'), stale as Uint8Array)
  const reopened = follower(chain, tables[1])
  await Follower.start(chain, [reopened])
  t.same(reopened.told, ['back to 0', ...names(1n, 3n)])
})
