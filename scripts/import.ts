/**
 * Plain Ethereum chains on this machine, without L1 and peers:
 *
 *   openledger import --datadir D --genesis genesis.json --chain chain.rlp    run every block, keep them
 *   openledger run --datadir D --offline [--http-port P]                      answer JSON-RPC from them
 *   openledger export --datadir D --out chain.rlp [--from N] [--to N]         the inverse of import
 */
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf, userError } from '../node/base/errors.ts'
import { createLog, type LogLevel } from '../node/base/log.ts'
import { openEthereumDirectory } from '../node/ethereum/directory.ts'
import { exportChainFile } from '../node/ethereum/export.ts'
import { type ImportProgress, importChainFile } from '../node/ethereum/import.ts'
import { startOffline } from '../node/ethereum/offline.ts'
import { Store } from '../node/store/store.ts'

export const IMPORT_HELP = `  import       loads a plain Ethereum chain: every block is run and checked
                 --datadir DIR --genesis FILE (geth's genesis.json) --chain FILE (RLP blocks)
  run --offline  answers JSON-RPC from an imported chain: no L1, no peers
                 --datadir DIR [--http-port N (9545)] [--http-host H (127.0.0.1)]
  export       writes the canonical blocks of a data directory to a file
                 --datadir DIR --out FILE [--from N] [--to N]
`

export async function runImport(args: readonly string[]): Promise<void> {
  const { datadir, genesis, chain: file } = flagsOf(args, ['datadir', 'genesis', 'chain'])
  const { chain, store } = await openEthereumDirectory({
    dataDir: required(datadir, 'datadir'),
    genesis: required(genesis, 'genesis'),
    log: createLog({ level: 'warn' }),
  })
  const path = required(file, 'chain')
  const size = (await stat(path).catch(() => null))?.size ?? 0
  const meter = new Meter(size)
  try {
    const done = await importChainFile(chain, path, (progress) => meter.tell(progress))
    const { hash, stateRoot } = chain.head('unsafe')
    meter.end(
      `imported ${done.imported} blocks (${done.transactions} transactions, ${done.gas} gas), ${done.known} were there; head ${done.number} ${hash}, state root ${stateRoot}`,
    )
  } finally {
    meter.end()
    await store.close()
  }
}

export async function runOffline(args: readonly string[]): Promise<void> {
  const flags = flagsOf(
    args.filter((arg) => arg !== '--offline'),
    ['datadir', 'http-port', 'http-host', 'log-level'],
  )
  const port = flags['http-port'] ?? '9545'
  if (!/^\d{1,5}$/.test(port)) throw userError('usage', `--http-port is '${port}', not a port`)
  const node = await startOffline({
    dataDir: required(flags.datadir, 'datadir'),
    host: flags['http-host'] ?? '127.0.0.1',
    port: Number(port),
    log: createLog({ level: (flags['log-level'] ?? 'info') as LogLevel }),
  })
  process.stdout.write(`${JSON.stringify({ ready: true, url: node.url })}\n`)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  await node.stop()
  process.exit(0)
}

/** Of any data directory, a rollup's too: the canonical blocks, genesis left out unless asked for. */
export async function runExport(args: readonly string[]): Promise<void> {
  const flags = flagsOf(args, ['datadir', 'out', 'from', 'to'])
  const dataDir = required(flags.datadir, 'datadir')
  const out = required(flags.out, 'out')
  const db = join(dataDir, 'db')
  if (!existsSync(db)) throw userError('usage', `--datadir ${dataDir} holds no database`)
  const store = await Store.open(db)
  try {
    const { from, to } = await exportChainFile(store, out, {
      ...(flags.from ? { from: numberOf(flags.from, 'from') } : {}),
      ...(flags.to ? { to: numberOf(flags.to, 'to') } : {}),
    })
    process.stderr.write(`export: blocks ${from} to ${to} are in ${out}\n`)
  } finally {
    await store.close()
  }
}

function numberOf(text: string, name: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text)
  throw userError('usage', `--${name} is '${text}'; it must be a block number`)
}

/** @throws NodeError usage */
function flagsOf<const N extends string>(
  args: readonly string[],
  names: readonly N[],
): Partial<Record<N, string>> {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
  try {
    return parseArgs({ args: [...args], options }).values as Partial<Record<N, string>>
  } catch (error) {
    throw userError('usage', `${messageOf(error)}; the flags are --${names.join(', --')}`)
  }
}

function required(value: string | undefined, name: string): string {
  if (value) return value
  throw userError('usage', `--${name} is missing`)
}

const LINE_MS = 2_000
const BAR_CELLS = 24

/** A bar that redraws on a terminal; elsewhere a line now and then. */
class Meter {
  readonly #size: number
  readonly #isTerminal = process.stderr.isTTY === true
  readonly #startedAt = performance.now()
  #toldAt = 0
  #isOpen = false

  constructor(size: number) {
    this.#size = size
  }

  tell({ number, offset, imported }: ImportProgress): void {
    const now = performance.now()
    if (now - this.#toldAt < (this.#isTerminal ? 100 : LINE_MS)) return
    this.#toldAt = now
    const share = this.#size ? offset / this.#size : 1
    const rate = Math.round(imported / ((now - this.#startedAt) / 1000))
    const text = `block ${number}  ${Math.floor(share * 100)} %  ${rate} blocks/s`
    if (!this.#isTerminal) {
      process.stderr.write(`import: ${text}\n`)
      return
    }
    const filled = Math.round(share * BAR_CELLS)
    const bar = '█'.repeat(filled).padEnd(BAR_CELLS, '·')
    process.stderr.write(`\r\x1b[Kimport ${bar} ${text}`)
    this.#isOpen = true
  }

  end(line?: string): void {
    if (this.#isOpen) process.stderr.write('\r\x1b[K')
    this.#isOpen = false
    if (line) process.stderr.write(`import: ${line}\n`)
  }
}
