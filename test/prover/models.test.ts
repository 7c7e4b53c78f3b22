/** Models looked at again beside the blocks: real content of a real job, withheld for a while or for good. */
import t from 'tap'
import { type Hex, keccakHex, utf8 } from '../../node/base/bytes.ts'
import { NodeError } from '../../node/base/errors.ts'
import { silentLog } from '../../node/base/log.ts'
import type { Node } from '../../node/main.ts'
import { ModelAudits } from '../../prover/models.ts'
import { openWorld } from '../support/factory.ts'
import { openMarket } from '../support/market.ts'

t.test(
  'content that is withheld is asked for again, ever more seldom, and not for ever',
  async (t) => {
    const world = await openWorld(t)
    const { registry, library, model } = await openMarket(t, world)
    const l1 = keccakHex(utf8('an L1 block'))
    let withheld = true
    const open = () => {
      const next: (() => void)[] = []
      const waits: number[] = []
      const { store, content } = world
      const audits = new ModelAudits({
        node: {
          store,
          content,
          log: silentLog,
          models: { registry, library },
          chain: world.economy.chain,
          options: { dataDir: world.dir },
        } as unknown as Node,
        read: async (hash: Hex) => {
          if (withheld) throw new NodeError('content-not-shown', 'retry', `nobody shows ${hash}`)
          return content.get(hash)
        },
        signal: new AbortController().signal,
        refuted: async () => {},
        open: () => async () => [],
        later: (ms, work) => {
          waits.push(ms)
          next.push(work)
        },
      })
      return { audits, next, waits }
    }
    const waiting = async (): Promise<number> => {
      let count = 0
      for await (const _ of world.store.table('models-waiting').iterate()) count++
      return count
    }

    const first = open()
    await first.audits.heard([model], l1)
    await first.audits.stop()
    t.match(await first.audits.verdict(model), { ok: null, error: /nobody shows/ })
    t.same([first.waits, await waiting()], [[60_000], 1])
    first.next.shift()?.()
    await first.audits.stop()
    t.same(first.waits, [60_000, 120_000])
    withheld = false
    first.next.shift()?.()
    await first.audits.stop()
    t.match(await first.audits.verdict(model), { ok: true, error: null, difference: null })
    t.equal(await waiting(), 0)

    withheld = true
    const unknown = keccakHex(utf8('verdict of nothing'))
    await world.store.table('model-verdicts').delete(Buffer.from(model.slice(2), 'hex'))
    const second = open()
    await second.audits.heard([model], l1)
    let looks = 0
    for (; ; looks++) {
      await second.audits.stop()
      const again = second.next.shift()
      if (!again) break
      again()
    }
    t.equal(looks, 23)
    t.equal(second.waits.at(-1), 86_400_000, 'once a day in the end')
    t.match(await second.audits.verdict(model), { ok: null, error: /nobody shows/ })
    t.equal(await waiting(), 0, 'let go')
    t.equal(await second.audits.verdict(unknown), null)
  },
)
