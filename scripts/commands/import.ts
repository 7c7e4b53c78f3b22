/** `openledger import` and `export`: plain Ethereum chains as files of RLP blocks. */
import { stat } from 'node:fs/promises'
import { userError } from '../../node/base/errors.ts'
import { openLog } from '../../node/base/log.ts'
import { openDataDir } from '../../node/datadir/datadir.ts'
import type { Command } from '../cli/command.ts'
import { withStore } from '../cli/database.ts'
import { Meter } from '../cli/progress.ts'
import { JSON_FLAG, show } from '../cli/result.ts'

export const importChain: Command = {
  name: 'import',
  summary: 'Loads a plain Ethereum chain: every block is run and checked',
  options: ['node', 'operation'],
  flags: {
    genesis: { value: 'FILE', help: "geth's genesis.json" },
    chain: { value: 'FILE', help: 'RLP blocks, one after another' },
    ...JSON_FLAG,
  },
  notes: 'What is there already is passed over; openledger run --offline serves it.',
  run: async (call) => {
    const { flags, configure } = call
    const [genesis, file] = [required(flags, 'genesis'), required(flags, 'chain')]
    const { dataDir } = configure().options
    const { openEthereumDirectory } = await import('../../node/ethereum/directory.ts')
    const { importChainFile } = await import('../../node/ethereum/import.ts')
    const lock = openDataDir(dataDir, { role: 'import', now: Date.now() })
    try {
      const { log } = openLog({ level: 'warn' })
      const { chain, store } = await openEthereumDirectory({ dataDir, genesis, log })
      const size = (await stat(file).catch(() => null))?.size ?? 0
      const meter = new Meter('import')
      try {
        const done = await importChainFile(chain, file, ({ number, offset }) =>
          meter.update(`block ${number}`, size ? offset / size : 1),
        )
        const { hash, stateRoot } = chain.head('unsafe')
        meter.end()
        show(call, { ...done, hash, stateRoot }, [
          `imported ${done.imported} blocks (${done.transactions} transactions, ${done.gas} gas), ${done.known} were there; head ${done.number} ${hash}, state root ${stateRoot}`,
        ])
      } finally {
        await store.close()
      }
    } finally {
      lock.close()
    }
    return undefined
  },
}

export const exportChain: Command = {
  name: 'export',
  summary: 'Writes the canonical blocks of any data directory to a file, genesis left out',
  options: ['node'],
  flags: {
    out: { value: 'FILE', help: 'where to; RLP blocks, as import reads them' },
    from: { value: 'N', help: 'first block; default: 1' },
    to: { value: 'N', help: 'last block; default: the head' },
    ...JSON_FLAG,
  },
  run: async (call) => {
    const { flags, configure } = call
    const out = required(flags, 'out')
    const { exportChainFile } = await import('../../node/ethereum/export.ts')
    return withStore(configure().options.dataDir, 'export', async (store) => {
      const meter = new Meter('export')
      const wanted = {
        ...(flags.from ? { from: numberOf(flags.from, 'from') } : {}),
        ...(flags.to ? { to: numberOf(flags.to, 'to') } : {}),
      }
      const { from, to } = await exportChainFile(store, { path: out, ...wanted }, (number, part) =>
        meter.update(`block ${number}`, part),
      ).finally(() => meter.end())
      show(call, { from, to, out }, [`blocks ${from} to ${to} are in ${out}`])
      return undefined
    })
  },
}

function required(flags: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = flags[name]
  if (value) return value
  throw userError('usage', `--${name} is missing`)
}

function numberOf(text: string, name: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text)
  throw userError('usage', `--${name} is '${text}'; it must be a block number`)
}
