/**
 * The `openledger` command. Each role runs in a process of its own:
 *
 *   openledger devnet [--exit]      an L1, a sequencer, a validator, one paid and verified inference
 *   openledger sequencer [options]  builds blocks, serves models, posts batches
 *   openledger validator [options]  follows L1 and the sequencer, verifies every receipt
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type ChainConfig, decodeChainConfig } from '../genesis/chain.ts'
import { messageOf, NodeError, userError } from '../node/base/errors.ts'
import { createLog } from '../node/base/log.ts'
import { createNode, type Role } from '../node/main.ts'
import { flagOf, isSecret, OPTION_TABLE, optionsHelp, parseOptions } from '../node/options.ts'
import { createValidator } from '../prover/main.ts'
import { createSequencer } from '../sequencer/main.ts'
import { runDevnet } from './devnet/main.ts'
import { IMPORT_HELP, runExport, runImport, runOffline } from './import.ts'

const HELP = `usage: openledger <command> [options]

  devnet       an L1, a sequencer and a validator on this machine, and one paid, attributed,
               verified inference; stays up
                 --exit        end after the verdict: status 0 when everything agreed
                 --rows N      rows per author in the demonstration Datanet (10)
                 --dir PATH    folder of the devnet (.devnet); emptied at start
  sequencer    builds blocks, serves models, posts batches to L1
  validator    derives the chain from L1, re-executes it, verifies every receipt
${IMPORT_HELP}
Options of sequencer and validator (also in a JSON file: --config FILE; also as environment
variables OPENLEDGER_RPC_PORT ...; keys only there or in the file):

${optionsHelp()}
`

async function main(argv: readonly string[]): Promise<void> {
  const [command, ...rest] = argv
  if (!command || command === 'help' || rest.includes('--help') || command === '--help') {
    process.stdout.write(HELP)
    return
  }
  if (command === 'devnet') return runDevnet(devnetOptions(rest))
  if (command === 'import') return runImport(rest)
  if (command === 'export') return runExport(rest)
  if (command === 'run' && rest.includes('--offline')) return runOffline(rest)
  if (command === 'sequencer' || command === 'validator') return runRole(command, rest)
  throw userError('usage', `unknown command '${command}'; 'openledger --help' lists them`)
}

function devnetOptions(args: readonly string[]): Parameters<typeof runDevnet>[0] {
  const { values } = parseArgs({
    args: [...args],
    options: {
      exit: { type: 'boolean', default: false },
      rows: { type: 'string', default: '10' },
      dir: { type: 'string', default: '.devnet' },
    },
  })
  if (!/^[1-9]\d{0,3}$/.test(values.rows))
    throw userError('usage', `--rows is '${values.rows}'; it must be 1 to 9999`)
  return { exit: values.exit, rowsPerAuthor: Number(values.rows), dir: values.dir }
}

async function runRole(role: Role, args: readonly string[]): Promise<void> {
  const flags = Object.keys(OPTION_TABLE)
    .filter((name) => !isSecret(name))
    .map(flagOf)
  const { values } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      [...flags, 'config'].map((name) => [name, { type: 'string' as const }]),
    ),
  })
  const options = parseOptions(values as Record<string, string | undefined>, process.env)
  const config = readChainConfig(options.rollup)
  const log = createLog({
    level: options.logLevel,
    ...(options.logFile && { path: options.logFile }),
  })
  const node = await createNode(role, { config, options, log })
  const service = role === 'sequencer' ? createSequencer(node) : createValidator(node)
  const url = await service.start()
  const [p2p] = node.p2p.multiaddrs()
  // One line for whoever started us; the log is for people.
  process.stdout.write(`${JSON.stringify({ ready: true, url, p2p })}\n`)
  await stopSignal()
  const force = setTimeout(() => process.exit(1), STOP_MS_MAX)
  await service.stop()
  clearTimeout(force)
  process.exit(0)
}

/** @throws NodeError `options` naming the file and what is wrong with it. */
function readChainConfig(path: string): ChainConfig {
  try {
    return decodeChainConfig(readFileSync(path, 'utf8'))
  } catch (error) {
    throw userError(
      'options',
      `cannot use the chain configuration ${path} (--rollup): ${messageOf(error)}`,
    )
  }
}

const STOP_MS_MAX = 20_000

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const hint = error instanceof NodeError ? '' : `\n${error instanceof Error ? error.stack : ''}`
  process.stderr.write(`openledger: ${messageOf(error)}${hint}\n`)
  process.exit(1)
}
