/** `openledger attribution verify`: a receipt done again on this machine, and the first difference explained. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { VerdictRecord } from '../../node/attribution/ledger.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { silentLog } from '../../node/base/log.ts'
import { ContentStore } from '../../node/content/store.ts'
import { ModelLibrary } from '../../node/model/library.ts'
import type { Difference } from '../../prover/compare.ts'
import { contentFrom, openingsBy, remoteRegistry, settledIn } from '../attribution/remote.ts'
import { type Looked, lookAt, type Refuted, reportLines } from '../attribution/verify.ts'
import type { Call, Command } from '../cli/command.ts'
import { EXIT } from '../cli/exit.ts'
import { NODE_FLAGS } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import { type Rpc, rpcTo } from '../cli/rpc.ts'

/** Some answers are megabytes, and a node may have to fetch them first. */
const TIMEOUT_MS = 120_000

export const verifyAttribution: Command = {
  name: 'attribution verify',
  summary:
    'Does a receipt, or all of a block, again on this machine and explains the first difference',
  args: '<block|receipt>',
  flags: {
    ...NODE_FLAGS,
    table: {
      help: "add up the model's table from its leaves and rows, and make drawn rows' vectors again, too",
    },
    work: { value: 'DIR', help: 'keep what is fetched; default: a folder that is removed' },
  },
  options: ['models'],
  notes: `Tokens, trace, sketch, spans, scores, split and payouts are computed here with the base model of this machine
(--base-model). The node at --url shows the block and the content, and each is checked against its hash: believed are
only which block is canonical, and what SplitPolicy says. The status is 4 when something differs. Of a receipt whose model
a validator has refuted, that is said, and the table is looked at here.`,
  run: async (call) => {
    const rpc = rpcTo(call.flags.url as string, TIMEOUT_MS)
    const settled = await settledAt(rpc, call.args[0] as string)
    if (settled.length === 0)
      throw userError('receipt-unknown', `${call.args[0]} settles no receipt`)
    const { work } = call.flags
    const dir = work ?? (await mkdtemp(join(tmpdir(), 'openledger-verify-')))
    try {
      const registry = remoteRegistry(rpc)
      const resultOf = (manifest: Hex): Promise<Hex> => registry.jobResult(manifest)
      const looked = await withLibrary(call, { dir, rpc, resultOf }, async (library, content) => {
        const read = async (hash: Hex): Promise<Uint8Array> => {
          if (await content.has(hash)) return content.get(hash)
          const bytes = await contentFrom(rpc, hash)
          await content.put(bytes)
          return bytes
        }
        const openings = await openingsBy(rpc)
        const modules = { library, registry, content: read, traceOf: async () => null, openings }
        const found: Looked[] = []
        for (const one of settled) {
          const refuted = await refutedModel(rpc, one.hash)
          const withTable = call.switches.has('table') || refuted !== null
          found.push(await lookAt(one, modules, { withTable, refuted }))
        }
        return found
      })
      show(call, looked, looked.flatMap(reportLines))
      return looked.some(({ ok, refuted }) => !ok || refuted) ? EXIT.findings : undefined
    } finally {
      if (work === undefined) await rm(dir, { recursive: true, force: true })
    }
  },
}

/** What a validator says of the receipt's model; null when none has refuted it. */
async function refutedModel(rpc: Rpc, receipt: Hex): Promise<Refuted | null> {
  const verdict = await rpc<VerdictRecord | null>('openledger_getVerdict', receipt)
  const difference = verdict?.difference as Difference | null | undefined
  if (!verdict || verdict.ok || !difference) return null
  const isOfModel = difference.stage === 'table' || difference.stage === 'training'
  return isOfModel ? { validator: verdict.validator, difference } : null
}

/** A receipt by its hash, or all receipts of a block by number or hash. */
async function settledAt(rpc: Rpc, id: string) {
  if (/^\d{1,15}$/.test(id)) return settledIn(rpc, `0x${Number(id).toString(16)}`)
  if (!/^0x[0-9a-fA-F]{64}$/.test(id))
    throw userError('usage', `'${id}' is no block (a number or hash) and no receipt (a hash)`)
  const receipt = await rpc<{ block: { hash: Hex } } | null>('openledger_getReceipt', id)
  if (!receipt) return settledIn(rpc, id as Hex)
  const all = await settledIn(rpc, receipt.block.hash)
  return all.filter(({ hash }) => hash === id.toLowerCase())
}

async function withLibrary<T>(
  { configure }: Call,
  { dir, rpc, resultOf }: { dir: string; rpc: Rpc; resultOf(manifest: Hex): Promise<Hex> },
  work: (library: ModelLibrary, content: ContentStore) => Promise<T>,
): Promise<T> {
  const { baseModel, basePrecision } = configure().options
  const content = await ContentStore.open(join(dir, 'content'))
  const library = await ModelLibrary.open(
    {
      basePath: baseModel,
      basePrecision,
      cacheDir: join(dir, 'adapters'),
      adaptersMax: 1,
      verifyArtefacts: true,
    },
    {
      content,
      fetch: (hash) => contentFrom(rpc, hash),
      log: silentLog,
      resultOf,
    },
  )
  try {
    return await work(library, content)
  } finally {
    await library.close()
  }
}
