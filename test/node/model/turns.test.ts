import t from 'tap'
import { Tabs, Turns } from '../../../node/model/turns.ts'

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
    const seen: bigint[] = []
    const check = async (reserved: bigint): Promise<void> => {
      seen.push(reserved)
    }
    const [first, second, other] = await Promise.all([
      tabs.open('0xaa', 5n, check),
      tabs.open('0xaa', 7n, check),
      tabs.open('0xbb', 1n, check),
    ])
    t.strictSame([...seen].sort(), [0n, 0n, 5n])
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
    const refused = tabs.open('0xaa', 1n, async (reserved) => {
      t.equal(reserved, 0n, 'closed tabs cost nothing')
      throw refusal
    })
    await t.rejects(refused, refusal)
    await (await tabs.open('0xaa', 1n, check)).settle(async () => {})
  },
)
