/** Reading the next L1 block while one is executed. */
import t from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { Checkpoints } from '../../../node/derive/checkpoints.ts'
import { DerivationPipeline, PIPELINE_DEFAULTS } from '../../../node/derive/pipeline.ts'
import { MemoryChain, MemoryL1, memoryTable } from './memory.ts'
import { testConfig } from './world.ts'

for (const confirmations of [0n, 3n])
  t.test(`each block is read once, and none with fewer than ${confirmations} on it`, async (t) => {
    const l1 = new MemoryL1(100)
    const config = testConfig()
    const reader = l1.reader()
    const asked: bigint[] = []
    const pipeline = new DerivationPipeline(
      { ...PIPELINE_DEFAULTS, confirmations },
      {
        config,
        chain: new MemoryChain(config),
        l1: {
          ...reader,
          blockByNumber: (number, batcherOf) => {
            if (number + confirmations > l1.tip.number) t.fail(`block ${number} is too young`)
            asked.push(number)
            return reader.blockByNumber(number, batcherOf)
          },
        },
        checkpoints: new Checkpoints(memoryTable()),
        log: silentLog,
      },
    )
    const first = l1.tip.number
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) l1.mine({ gap: 6 })
      while (await pipeline.tick());
    }
    t.same(
      asked,
      Array.from({ length: 13 - Number(confirmations) }, (_, i) => first + BigInt(i)),
    )
  })

t.test(
  'far behind, the head of L1 is asked for once in 32 blocks, near it each time',
  async (t) => {
    const l1 = new MemoryL1(100)
    const config = testConfig()
    const reader = l1.reader()
    let heads = 0
    const pipeline = new DerivationPipeline(PIPELINE_DEFAULTS, {
      config,
      chain: new MemoryChain(config),
      l1: {
        ...reader,
        head: (tag) => {
          if (tag === 'latest') heads++
          return reader.head(tag)
        },
      },
      checkpoints: new Checkpoints(memoryTable()),
      log: silentLog,
    })
    for (let i = 0; i < 200; i++) l1.mine({ gap: 1 })
    while (await pipeline.tick());
    t.equal(pipeline.status.currentL1.number, l1.tip.number)
    // The first, five or six on the way, and each of the last 32.
    t.ok(heads >= 34 && heads <= 42, `${heads} times for 201 blocks`)
  },
)
