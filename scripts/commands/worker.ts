/** `openledger worker`: trains on this machine for nodes elsewhere, over NATS. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { userError } from '../../node/base/errors.ts'
import { openLog } from '../../node/base/log.ts'
import { ContentStore } from '../../node/content/store.ts'
import { openNatsFabric } from '../../node/factory/fabric/nats.ts'
import { SILENT_MS_MAX } from '../../node/factory/options.ts'
import { TrainingWorker } from '../../node/factory/worker.ts'
import { openBaseModel } from '../../node/model/base.ts'
import type { Command } from '../cli/command.ts'
import { count, need } from '../cli/flags.ts'

const SILENT_MS_MOST = 3_600_000

export const worker: Command = {
  name: 'worker',
  summary: 'Trains jobs from a NATS server on this machine; needs no chain',
  flags: {
    prefix: { value: 'NAME', help: 'openledger-CHAINID of the nodes it works for' },
    dir: { value: 'DIR', help: 'where it works', fallback: 'worker-data' },
    'silent-ms': {
      value: 'MS',
      help: 'silence after which it is taken for dead',
      fallback: String(SILENT_MS_MAX),
    },
  },
  options: ['models'],
  run: async ({ flags, configure }) => {
    const { natsUrl: url, baseModel, basePrecision } = configure().options
    if (!url) throw userError('usage', 'where is the NATS server? --nats-url nats://host:4222')
    const prefix = need(flags, 'prefix')
    const dir = need(flags, 'dir')
    const silentMs = count(flags, 'silent-ms', SILENT_MS_MOST)
    const log = openLog({ level: 'info', format: 'json' }).log
    const content = await ContentStore.open(join(dir, 'content'))
    const fabric = await openNatsFabric({ url, prefix, silentMs }, log)
    const base = await openBaseModel(baseModel, basePrecision)
    const name = `${hostname()}-${process.pid}`
    const training = new TrainingWorker(
      { name, dir: join(dir, 'jobs') },
      { fabric, base, content, log, now: Date.now },
    )
    training.start()
    log.info('worker ready', { name, base: base.hash })
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    })
    await training.stop()
    await fabric.close()
    return undefined
  },
}
