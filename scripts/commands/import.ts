/** `openledger import` and `export`: plain Ethereum chains as files of RLP blocks. */
import { stat } from 'node:fs/promises'
import { userError } from '../../node/base/errors.ts'
import { openLog } from '../../node/base/log.ts'
import { openDataDir } from '../../node/datadir/datadir.ts'
import type { Command } from '../cli/command.ts'
import { withStore } from '../cli/database.ts'
import { Meter } from '../cli/progress.ts'

export const importChain: Command = {
  name: 'import',
  summary: 'Loads a plain Ethereum chain: every block is run and checked',
  options: ['node', 'operation'],
  flags: {
    genesis: { value: 'FILE', help: "geth's genesis.json" },
    chain: { value: 'FILE', help: 'RLP blocks, one after another' },
  },
  notes: 'What is there already is passed over; openledger run --offline serves it.',
  run: async ({ flags, configure }) => {
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
        meter.end(
          `imported ${done.imported} blocks (${done.transactions} transactions, ${done.gas} gas), ${done.known} were there; head ${done.number} ${hash}, state root ${stateRoot}`,
        )
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
    from: { value: 'N', help: 'first block', fallback: '1' },
    to: { value: 'N', help: 'last block; default: the head' },
  },
  run: async ({ flags, configure }) => {
    const out = required(flags, 'out')
    const { BlockArchive } = await import('../../node/chain/archive.ts')
    const { decodeEthereumBlock } = await import('../../node/chain/block.ts')
    const { readHeads } = await import('../../node/chain/heads.ts')
    const { writeChainFile } = await import('../../node/ethereum/chain-file.ts')
    return withStore(configure().options.dataDir, 'export', async (store) => {
      const head = readHeads(store)?.unsafe.number
      if (head === undefined) throw userError('usage', 'the data directory holds no chain')
      const from = numberOf(flags.from ?? '1', 'from')
      const to = numberOf(flags.to ?? String(head), 'to')
      if (from > to || to > head) {
        throw userError('usage', `--from ${from} --to ${to}: the chain has blocks 0 to ${head}`)
      }
      const archive = new BlockArchive(store, decodeEthereumBlock)
      const meter = new Meter('export')
      const blocks = function* () {
        for (let number = from; number <= to; number++) {
          const block = archive.blockAt(number)
          if (!block) throw userError('store-damaged', `block ${number} is missing`)
          meter.update(`block ${number}`, Number(number - from) / Number(to - from + 1n))
          yield block
        }
      }
      const count = await writeChainFile(out, blocks())
      meter.end(`${count} blocks, ${from} to ${to}, in ${out}`)
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
