/** `openledger worker`: trains, or with --serve answers, on this machine for nodes elsewhere, over NATS. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Precision } from '../../native/index.ts'
import { type Hex, ZERO_HASH } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { type Log, openLog } from '../../node/base/log.ts'
import { ContentStore } from '../../node/content/store.ts'
import { grantedTo, type OpenDatanet } from '../../node/datanet/granted.ts'
import { openNatsFabric } from '../../node/factory/fabric/nats.ts'
import type { Fabric } from '../../node/factory/fabric/types.ts'
import { SILENT_MS_MAX } from '../../node/factory/options.ts'
import { TrainingWorker } from '../../node/factory/worker.ts'
import { type BaseModel, openBaseModel } from '../../node/model/base.ts'
import { ModelLibrary } from '../../node/model/library.ts'
import { InferenceWorker } from '../../node/model/remote/worker.ts'
import type { Command, FlagSpec } from '../cli/command.ts'
import { count, need } from '../cli/flags.ts'
import { NODE_FLAGS, type Person, walletFor } from '../cli/person.ts'
import { contentOf } from '../datanet/private.ts'
import { DATANETS } from '../datanet/session.ts'

const SILENT_MS_MOST = 3_600_000
/** In memory at once. */
const ADAPTERS_MAX = 64

export const worker: Command = {
  name: 'worker',
  summary:
    'Trains jobs, or answers requests, from a NATS server on this machine; needs no chain but for private rows',
  flags: {
    serve: { help: 'answer inference requests instead of training' },
    prefix: { value: 'NAME', help: 'openledger-CHAINID of the nodes it works for' },
    dir: { value: 'DIR', help: 'where it works', fallback: 'worker-data' },
    'silent-ms': {
      value: 'MS',
      help: 'silence after which it is taken for dead',
      fallback: String(SILENT_MS_MAX),
    },
    url: {
      ...(NODE_FLAGS.url as FlagSpec),
      help: 'with --key-file: the node that says what is granted',
    },
    'key-file': {
      value: 'FILE',
      help: 'hex key (mode 0600) of an account with grants: trains on private rows too',
    },
  },
  options: ['models'],
  run: async (call) => {
    const { flags, switches, configure } = call
    const { natsUrl: url, baseModel, basePrecision } = configure().options
    if (!url) throw userError('usage', 'where is the NATS server? --nats-url nats://host:4222')
    const prefix = need(flags, 'prefix')
    const dir = need(flags, 'dir')
    const silentMs = count(flags, 'silent-ms', SILENT_MS_MOST)
    const log = openLog({ level: 'info', format: 'json' }).log
    const content = await ContentStore.open(join(dir, 'content'))
    const fabric = await openNatsFabric({ url, prefix, silentMs }, log)
    const name = `${hostname()}-${process.pid}`
    const person = flags['key-file'] ? await walletFor(call) : null
    const open = person ? granted(person) : undefined
    const modules = { fabric, content, log, name, dir, open }
    const work = switches.has('serve')
      ? await serving({ basePath: baseModel, basePrecision }, { ...modules, silentMs })
      : await training(await openBaseModel(baseModel, basePrecision), modules)
    work.start()
    log.info('worker ready', { name })
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    })
    await work.stop()
    await fabric.close()
    return undefined
  },
}

type Modules = {
  readonly fabric: Fabric
  readonly content: ContentStore
  readonly log: Log
  readonly name: string
  readonly dir: string
  readonly open: OpenDatanet | undefined
}

type Work = { start(): void; stop(): Promise<void> }

async function training(base: BaseModel, modules: Modules): Promise<Work> {
  const { name, dir, ...rest } = modules
  return new TrainingWorker({ name, dir: join(dir, 'jobs') }, { ...rest, base, now: Date.now })
}

/** By a node's word of what stands on chain: a wrong one opens nothing. */
function granted({ wallet, rpc, chainId, key }: Person): OpenDatanet {
  return grantedTo({
    chainId,
    secret: key,
    address: wallet.address,
    grantOf: ({ datanetId, rowsRoot, grantee }) => {
      const args = [datanetId, rowsRoot, grantee]
      return wallet.read<Hex>({ ...DATANETS, functionName: 'grantOf', args })
    },
    isErased: async ({ datanetId, rowsRoot }) => {
      const args = [datanetId, rowsRoot]
      type Held = { isErased: boolean }
      const held = await wallet.read<Held>({ ...DATANETS, functionName: 'getContribution', args })
      return held.isErased
    },
    read: (hash) => contentOf(rpc, hash),
  })
}

async function serving(
  base: { basePath: string; basePrecision: Precision },
  { fabric, content, log, dir, silentMs }: Modules & { silentMs: number },
): Promise<Work> {
  const results = new Map<Hex, Hex>()
  const library = await ModelLibrary.open(
    { ...base, cacheDir: join(dir, 'adapters'), adaptersMax: ADAPTERS_MAX, verifyArtefacts: true },
    {
      content,
      fetch: (hash) => fabric.objects.get(hash),
      resultOf: async (manifest) => results.get(manifest) ?? ZERO_HASH,
      log,
    },
  )
  const workingMs = silentMs / 4
  const worker = new InferenceWorker({ fabric, library, results, log, workingMs, now: Date.now })
  return {
    start: () => worker.start(),
    stop: async () => {
      await worker.stop()
      await library.close()
    },
  }
}
