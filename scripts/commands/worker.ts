/** `openledger worker`: trains on this machine for nodes elsewhere, over NATS. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { userError } from '../../node/base/errors.ts'
import { openLog } from '../../node/base/log.ts'
import { ContentStore } from '../../node/content/store.ts'
import { openNatsFabric } from '../../node/factory/fabric/nats.ts'
import { TrainingWorker } from '../../node/factory/worker.ts'
import { openBaseModel } from '../../node/model/base.ts'
import type { Command } from '../cli/command.ts'

export const worker: Command = {
  name: 'worker',
  summary: 'Trains jobs from a NATS server on this machine; needs no chain',
  flags: {
    nats: { value: 'URL', help: 'server, nats://host:4222' },
    prefix: { value: 'NAME', help: 'of the nodes it works for', fallback: 'openledger' },
    'base-model': { value: 'DIR', help: 'the base', fallback: 'native/models/base' },
    dir: { value: 'DIR', help: 'where it works', fallback: 'worker-data' },
    'silent-ms': {
      value: 'MS',
      help: 'silence after which it is taken for dead',
      fallback: '20000',
    },
  },
  run: async ({ flags }) => {
    const { nats, prefix = '', dir = '' } = flags
    if (!nats) throw userError('usage', 'where is the NATS server? --nats nats://host:4222')
    const log = openLog({ level: 'info', format: 'json' }).log
    const content = await ContentStore.open(join(dir, 'content'))
    const fabric = await openNatsFabric(
      { url: nats, prefix, silentMs: Number(flags['silent-ms']) },
      log,
    )
    const base = await openBaseModel(flags['base-model'] as string, 'f32')
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
