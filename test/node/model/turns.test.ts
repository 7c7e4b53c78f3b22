import t from 'tap'
import { ZERO_ADDRESS } from '../../../node/base/bytes.ts'
import { type Purse, Tabs, Turns } from '../../../node/model/turns.ts'

t.test('no more jobs run at once than may, and the others go in the order they came', async (t) => {
  const turns = new Turns(2)
  const begun: number[] = []
  const ends: (() => void)[] = []
  const jobs = [0, 1, 2, 3].map((i) =>
    turns.run(() => {
      begun.push(i)
      return new Promise<void>((end) => ends.push(end))
    }),
  )
  await Promise.resolve()
  t.strictSame(begun, [0, 1])
  ends[1]?.()
  await jobs[1]
  t.strictSame(begun, [0, 1, 2])
  ends[0]?.()
  await jobs[0]
  t.strictSame(begun, [0, 1, 2, 3])
  ends[2]?.()
  ends[3]?.()
  await Promise.all(jobs)
})

t.test(
  "one payer's requests see what the others may cost, and settle in the order they opened",
  async (t) => {
    const tabs = new Tabs()
    const seen: string[] = []
    const check = async ({ all, purse }: { all: bigint; purse: bigint }): Promise<void> => {
      seen.push(`${all} ${purse}`)
    }
    const own: Purse = { address: '0xaa', session: ZERO_ADDRESS }
    const [first, second, other] = await Promise.all([
      tabs.open(own, 5n, check),
      tabs.open({ ...own, session: '0xcc' }, 7n, check),
      tabs.open({ ...own, address: '0xbb' }, 1n, check),
    ])
    t.strictSame(seen.sort(), ['0 0', '0 0', '5 0'], 'a session key has a purse of its own')
    t.strictSame(tabs.reserved(own), { all: 12n, purse: 5n })
    const settled: string[] = []
    const late = second.settle(async () => settled.push('second'))
    await other.settle(async () => settled.push('other'))
    await first.settle(async () => settled.push('first'))
    first.close()
    await late
    second.close()
    second.close()
    t.strictSame(settled, ['other', 'first', 'second'])
    const refusal = new Error('too little')
    const refused = tabs.open(own, 1n, async (reserved) => {
      t.strictSame(reserved, { all: 0n, purse: 0n }, 'closed tabs cost nothing')
      throw refusal
    })
    await t.rejects(refused, refusal)
    await (await tabs.open(own, 1n, check)).settle(async () => {})
  },
)
