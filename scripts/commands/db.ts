/** `openledger db`: what the database holds, and whether it holds together. */
import { auditChain } from '../../node/chain/audit.ts'
import { inventory } from '../../node/store/inventory.ts'
import type { Command } from '../cli/command.ts'
import { auditHead, headOf, shownOn, withStore } from '../cli/database.ts'
import { EXIT } from '../cli/exit.ts'
import { Meter } from '../cli/progress.ts'

const dbStats: Command = {
  name: 'db stats',
  summary: 'Counts rows and bytes of every table; the node must be stopped',
  flags: { json: { help: 'as JSON' } },
  options: ['node'],
  run: async ({ configure, switches }) => {
    const { dataDir } = configure().options
    const sizes = await withStore(dataDir, 'db stats', async ({ database }) => {
      const meter = new Meter('reading')
      const found = await inventory(database, (rows) => meter.update(`${rows} rows`))
      meter.end()
      return found.sort((a, b) => bytesOf(b) - bytesOf(a))
    })
    if (switches.has('json')) {
      process.stdout.write(`${JSON.stringify(sizes)}\n`)
      return EXIT.ok
    }
    process.stdout.write(`${row('table', 'rows', 'key bytes', 'value bytes')}\n`)
    for (const { table, rows, keyBytes, valueBytes } of sizes) {
      process.stdout.write(`${row(table, rows, keyBytes, valueBytes)}\n`)
    }
    const total = sizes.reduce((sum, size) => sum + bytesOf(size), 0)
    process.stdout.write(`${total} bytes before compression by LevelDB\n`)
    return EXIT.ok
  },
}

const dbVerify: Command = {
  name: 'db verify',
  summary: 'Checks every canonical block, its receipts, and the whole state of the head',
  flags: { json: { help: 'as JSON' } },
  options: ['node'],
  notes: 'The status is 4 when something is wrong. The node must be stopped.',
  run: async ({ configure, switches }) => {
    const { dataDir } = configure().options
    const found = await withStore(dataDir, 'db verify', async (store) => {
      const chainMeter = new Meter('blocks')
      const chain = await auditChain(store, shownOn(chainMeter))
      chainMeter.end(`${chain.blocks} blocks, ${chain.transactions} transactions`)
      const stateMeter = new Meter('state')
      const state = await auditHead(store, stateMeter)
      stateMeter.end(`${state.accounts} accounts, ${state.slots} slots, ${state.nodes} nodes`)
      const { block } = headOf(store)
      return { head: Number(block.header.number), stateRoot: block.header.stateRoot, chain, state }
    })
    const problems = [...found.chain.problems, ...found.state.problems]
    if (switches.has('json')) process.stdout.write(`${JSON.stringify(found)}\n`)
    else {
      for (const problem of problems) process.stdout.write(`wrong: ${problem}\n`)
      const verdict = problems.length ? `${problems.length} problems` : 'everything is in order'
      process.stdout.write(`head ${found.head}, state root ${found.stateRoot}: ${verdict}\n`)
    }
    return problems.length ? EXIT.findings : EXIT.ok
  },
}

function bytesOf({ keyBytes, valueBytes }: { keyBytes: number; valueBytes: number }): number {
  return keyBytes + valueBytes
}

function row(name: string, ...cells: (string | number)[]): string {
  return `${name.padEnd(24)}${cells.map((cell) => String(cell).padStart(14)).join('')}`
}

export const dbCommands: readonly Command[] = [dbStats, dbVerify]
