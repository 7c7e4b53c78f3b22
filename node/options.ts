/**
 * What an operator decides about a node, parsed once into a frozen object: flags, then environment
 * (`OPENLEDGER_RPC_PORT` ...), then the configuration file, then the defaults below. Each entry says
 * its unit and effect; `openledger <role> --help` is printed from this table.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { userError } from './base/errors.ts'
import type { LogLevel } from './base/log.ts'
import { DEFAULT_POOL_OPTIONS } from './mempool/options.ts'

export type NodeOptions = {
  readonly dataDir: string
  /** File with the chain configuration (`rollup.json`). */
  readonly rollup: string
  readonly l1Rpc: readonly string[]
  readonly l1Beacon: readonly string[]
  /** anvil computes the transactions root of blob blocks its own way; false only on a devnet. */
  readonly l1StrictRoots: boolean
  readonly rpcHost: string
  readonly rpcPort: number
  readonly rpcThreads: number
  readonly p2pPort: number
  readonly peers: readonly string[]
  readonly bootnodes: readonly string[]
  readonly p2pAnnounce: readonly string[]
  readonly p2pAllow: readonly string[]
  readonly p2pDeny: readonly string[]
  /** Where a follower sends users' transactions. */
  readonly sequencerRpc: string | null
  readonly logLevel: LogLevel
  readonly logFile: string | null
  readonly baseModel: string
  readonly verifyArtefacts: boolean
  readonly sequencerKey: string | null
  readonly batcherKey: string | null
  readonly providerKey: string | null
  readonly sponsorKey: string | null
  readonly validatorKey: string | null
  readonly proposerKey: string | null
  readonly challengerKey: string | null
  readonly attestors: readonly string[]
  /** 'safe' or 'finalized': which L2 blocks are proposed and attested. */
  readonly outputHead: string
  readonly outputIntervalBlocks: number
  readonly settlementPollMs: number
  readonly poolSlots: number
  readonly batchIntervalMs: number
  readonly batchDa: 'blobs' | 'calldata' | 'auto'
  /** Absolute ceilings, gwei per gas and per blob gas; batches wait while L1 is dearer. */
  readonly l1FeeGweiMax: number
  readonly l1BlobFeeGweiMax: number
}

type Kind = 'string' | 'number' | 'boolean' | 'list'
type Entry = { readonly kind: Kind; readonly fallback: unknown; readonly help: string }

/** Secrets have no flag: a command line is visible to every user of the machine. */
export const OPTION_TABLE: { readonly [K in keyof NodeOptions]: Entry } = {
  dataDir: {
    kind: 'string',
    fallback: '.openledger',
    help: 'folder of the database, content and keys',
  },
  rollup: { kind: 'string', fallback: 'rollup.json', help: 'file with the chain configuration' },
  l1Rpc: {
    kind: 'list',
    fallback: ['http://127.0.0.1:8545'],
    help: 'L1 JSON-RPC endpoints, in order of preference',
  },
  l1Beacon: {
    kind: 'list',
    fallback: [],
    help: 'L1 beacon API endpoints for blobs; default: the L1 endpoints',
  },
  l1StrictRoots: {
    kind: 'boolean',
    fallback: true,
    help: 'check the transactions root of every L1 block; off only for anvil',
  },
  rpcHost: { kind: 'string', fallback: '127.0.0.1', help: 'address the RPC server listens on' },
  rpcPort: {
    kind: 'number',
    fallback: 9545,
    help: 'port of JSON-RPC, WebSocket, /v1 and the page; 0 picks a free one',
  },
  rpcThreads: {
    kind: 'number',
    fallback: Math.max(1, Math.min(4, availableParallelism() - 1)),
    help: 'threads for calls, traces and log searches, so that none delays a block; 0: none',
  },
  p2pPort: { kind: 'number', fallback: 9222, help: 'libp2p TCP port; 0 picks a free one' },
  peers: { kind: 'list', fallback: [], help: 'multiaddrs to stay connected to' },
  bootnodes: {
    kind: 'list',
    fallback: [],
    help: 'multiaddrs to learn of other peers from',
  },
  p2pAnnounce: {
    kind: 'list',
    fallback: [],
    help: 'multiaddrs told to peers instead of those listened on',
  },
  p2pAllow: {
    kind: 'list',
    fallback: [],
    help: 'peer ids, IP addresses and subnets that may connect; empty: all',
  },
  p2pDeny: {
    kind: 'list',
    fallback: [],
    help: 'peer ids, IP addresses and subnets that may not connect',
  },
  sequencerRpc: {
    kind: 'string',
    fallback: null,
    help: "where a follower forwards users' transactions; without it they go by gossip",
  },
  logLevel: { kind: 'string', fallback: 'info', help: 'debug, info, warn, error or silent' },
  logFile: { kind: 'string', fallback: null, help: 'JSON lines go here instead of stderr' },
  baseModel: {
    kind: 'string',
    fallback: join(import.meta.dirname, '..', 'native/models/base'),
    help: 'Hugging Face directory of the resident base model',
  },
  verifyArtefacts: {
    kind: 'boolean',
    fallback: true,
    help: 'check adapters against the chain; off only to play a dishonest provider',
  },
  sequencerKey: { kind: 'string', fallback: null, help: 'hex key that signs unsafe blocks' },
  batcherKey: { kind: 'string', fallback: null, help: 'hex key that posts batches to L1' },
  providerKey: {
    kind: 'string',
    fallback: null,
    help: 'hex key that signs receipts; serves models when set',
  },
  sponsorKey: {
    kind: 'string',
    fallback: null,
    help: 'hex key that pays for requests without a payment',
  },
  validatorKey: {
    kind: 'string',
    fallback: null,
    help: 'hex key that signs verdicts and outputs',
  },
  proposerKey: {
    kind: 'string',
    fallback: null,
    help: 'hex key of the L1 account that proposes outputs and defends right ones; needs ether',
  },
  challengerKey: {
    kind: 'string',
    fallback: null,
    help: 'hex key of the L1 account that challenges wrong outputs; needs ether',
  },
  attestors: {
    kind: 'list',
    fallback: [],
    help: 'JSON-RPC of other validators, asked to sign the outputs a proposer proposes',
  },
  outputHead: {
    kind: 'string',
    fallback: 'finalized',
    help: 'finalized or safe: the newest L2 blocks whose outputs are proposed, signed and judged',
  },
  outputIntervalBlocks: {
    kind: 'number',
    fallback: 1800,
    help: 'L2 blocks between two proposed outputs',
  },
  settlementPollMs: {
    kind: 'number',
    fallback: 6000,
    help: 'milliseconds between two looks at the games on L1',
  },
  poolSlots: {
    kind: 'number',
    fallback: DEFAULT_POOL_OPTIONS.slotsMax,
    help: 'transactions that may wait in the pool, in slots of 32 KiB',
  },
  batchIntervalMs: { kind: 'number', fallback: 6000, help: 'milliseconds between batches' },
  batchDa: {
    kind: 'string',
    fallback: 'auto',
    help: 'blobs, calldata, or auto: whichever costs less',
  },
  l1FeeGweiMax: {
    kind: 'number',
    fallback: 500,
    help: 'most that is bid on L1, gwei per gas; above it batches wait',
  },
  l1BlobFeeGweiMax: {
    kind: 'number',
    fallback: 500,
    help: 'most that is bid on L1, gwei per blob gas; above it batches go as calldata or wait',
  },
}

const SECRETS: ReadonlySet<string> = new Set([
  'sequencerKey',
  'batcherKey',
  'providerKey',
  'sponsorKey',
  'validatorKey',
  'proposerKey',
  'challengerKey',
])
const LOG_LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error', 'silent']

export function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

export function isSecret(name: string): boolean {
  return SECRETS.has(name)
}

/** @throws NodeError `options` naming the option, its value and where it came from. */
export function parseOptions(
  flags: Readonly<Record<string, string | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
): NodeOptions {
  const file = flags.config ? readConfigFile(flags.config) : {}
  const out: Record<string, unknown> = {}
  for (const [name, entry] of Object.entries(OPTION_TABLE)) {
    const variable = `OPENLEDGER_${flagOf(name).replaceAll('-', '_').toUpperCase()}`
    const flag = SECRETS.has(name) ? undefined : flags[flagOf(name)]
    if (flag !== undefined) out[name] = parseText(entry.kind, flag, `--${flagOf(name)}`)
    else if (environment[variable] !== undefined)
      out[name] = parseText(entry.kind, environment[variable], variable)
    else out[name] = file[name] ?? entry.fallback
    checkKind(entry, out[name], name)
  }
  const unknown = Object.keys(file).find((name) => !(name in OPTION_TABLE))
  if (unknown)
    throw userError('options', `the configuration file has an unknown option '${unknown}'`)
  if (!LOG_LEVELS.includes(out.logLevel as string)) {
    throw userError('options', `log level '${out.logLevel}' is none of ${LOG_LEVELS.join(', ')}`)
  }
  if (!['blobs', 'calldata', 'auto'].includes(out.batchDa as string)) {
    throw userError('options', `batchDa '${out.batchDa}' is none of blobs, calldata, auto`)
  }
  if (!['safe', 'finalized'].includes(out.outputHead as string)) {
    throw userError('options', `outputHead '${out.outputHead}' is neither safe nor finalized`)
  }
  if (out.outputIntervalBlocks === 0) {
    throw userError('options', 'outputIntervalBlocks is 0; it must be above zero')
  }
  return Object.freeze(out) as NodeOptions
}

export function optionsHelp(): string {
  return Object.entries(OPTION_TABLE)
    .map(([name, { help, fallback }]) => {
      const flag = SECRETS.has(name)
        ? `OPENLEDGER_${flagOf(name).replaceAll('-', '_').toUpperCase()}`
        : `--${flagOf(name)}`
      const standard =
        fallback === null || (Array.isArray(fallback) && fallback.length === 0)
          ? ''
          : ` (${fallback})`
      return `  ${flag.padEnd(28)} ${help}${standard}`
    })
    .join('\n')
}

function readConfigFile(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  } catch (error) {
    throw userError(
      'options',
      `cannot read the configuration file ${path}: ${(error as Error).message}`,
    )
  }
}

function parseText(kind: Kind, text: string, source: string): unknown {
  if (kind === 'string') return text
  if (kind === 'list') return text.split(',').filter((item) => item !== '')
  if (kind === 'number' && /^\d+$/.test(text)) return Number(text)
  if (kind === 'boolean' && /^(true|false)$/.test(text)) return text === 'true'
  throw userError('options', `${source} is '${text}'; it must be a ${kind}`)
}

function checkKind({ kind, fallback }: Entry, value: unknown, name: string): void {
  if (value === null && fallback === null) return
  const ok =
    kind === 'list'
      ? Array.isArray(value) && value.every((item) => typeof item === 'string')
      : typeof value === kind
  if (!ok)
    throw userError('options', `option '${name}' is ${JSON.stringify(value)}; it must be a ${kind}`)
}
