/**
 * What an operator decides about a node: one table. Each entry says its kind, its default and its effect;
 * the flag (`--rpc-port`), the environment variable (`OPENLEDGER_RPC_PORT`), the key in the
 * configuration file (`rpcPort`), `--help`, shell completion and the reference in `scripts/README.md` all
 * come from here. `configure.ts` reads them.
 */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { LogFormat, LogLevel } from './base/log.ts'
import type { SignerProtocol } from './keys/remote.ts'
import { DEFAULT_POOL_OPTIONS } from './mempool/options.ts'

export const ROLES = ['sequencer', 'follower', 'validator'] as const
export type Role = (typeof ROLES)[number]

export type NodeOptions = {
  readonly role: Role
  readonly dataDir: string
  /** File with the chain configuration (`rollup.json`). */
  readonly rollup: string
  readonly l1Rpc: readonly string[]
  readonly l1Beacon: readonly string[]
  /** anvil computes the transactions root of blob blocks its own way; false only on a devnet. */
  readonly l1StrictRoots: boolean
  /** Endpoints that must have an L1 block before it is followed. */
  readonly l1Quorum: number
  readonly rpcHost: string
  readonly rpcPort: number
  readonly rpcThreads: number
  /** 0: no limit. */
  readonly rpcRate: number
  readonly behindProxy: boolean
  /** Whether pages may reach L1 through this node. */
  readonly webL1: boolean
  /** Names by which people reach this node's pages. */
  readonly webDomains: readonly string[]
  /** Accounts whose sessions may spend the node's money. */
  readonly sessionAccounts: readonly string[]
  readonly p2pPort: number
  readonly peers: readonly string[]
  readonly bootnodes: readonly string[]
  readonly p2pAnnounce: readonly string[]
  readonly p2pAllow: readonly string[]
  readonly p2pDeny: readonly string[]
  /** Where a follower sends users' transactions. */
  readonly sequencerRpc: string | null
  readonly metricsHost: string
  readonly metricsPort: number | null
  readonly adminHost: string
  readonly adminPort: number | null
  readonly jwtSecret: string | null
  readonly logLevel: LogLevel
  /** `room=level`, ... */
  readonly logLevels: readonly string[]
  readonly logFormat: LogFormat
  readonly logFile: string | null
  readonly diskFreeMinMib: number
  /** 0: never. */
  readonly pruneAfterHours: number
  readonly baseModel: string
  readonly basePrecision: 'f32' | 'int8'
  readonly verifyArtefacts: boolean
  /** Tokens a day that the sponsor pays for callers on this machine. */
  readonly freeTokensPerDay: number
  readonly listProvider: boolean
  /** Least prices this provider serves for, wei of OPEN per token, decimal. */
  readonly rateInMin: string
  readonly rateOutMin: string
  /** NATS server over which workers elsewhere train; null: in this process. */
  readonly natsUrl: string | null
  /** Whether answers are computed by workers over NATS. */
  readonly inferenceWorkers: boolean
  readonly sequencerKey: string | null
  readonly sequencerKeystore: string | null
  readonly sequencerSigner: string | null
  readonly batcherKey: string | null
  readonly batcherKeystore: string | null
  readonly batcherSigner: string | null
  readonly providerKey: string | null
  readonly providerKeystore: string | null
  readonly providerSigner: string | null
  readonly sponsorKey: string | null
  readonly sponsorKeystore: string | null
  readonly sponsorSigner: string | null
  readonly validatorKey: string | null
  readonly validatorKeystore: string | null
  readonly validatorSigner: string | null
  readonly proposerKey: string | null
  readonly proposerKeystore: string | null
  readonly proposerSigner: string | null
  readonly challengerKey: string | null
  readonly challengerKeystore: string | null
  readonly challengerSigner: string | null
  readonly signerProtocol: SignerProtocol
  readonly passwordFile: string | null
  readonly password: string | null
  readonly attestors: readonly string[]
  /** Which L2 blocks are proposed and attested. */
  readonly outputHead: 'safe' | 'finalized'
  readonly outputIntervalBlocks: number
  /** Percent of the receipts that a validator runs again. */
  readonly sample: number
  /** Receipts that a validator files with agents in a day, on chain. */
  readonly filingsPerDay: number
  readonly settlementPollMs: number
  readonly poolSlots: number
  readonly batchIntervalMs: number
  readonly batchDa: 'blobs' | 'calldata' | 'auto'
  /** Absolute ceilings, gwei per gas and per blob gas; batches wait while L1 is dearer. */
  readonly l1FeeGweiMax: number
  readonly l1BlobFeeGweiMax: number
}

export type OptionKind = 'string' | 'number' | 'positive' | 'port' | 'boolean' | 'list'
export type OptionGroup =
  | 'node'
  | 'L1'
  | 'network'
  | 'keys'
  | 'operation'
  | 'models'
  | 'batching'
  | 'settlement'

export type OptionEntry = {
  readonly group: OptionGroup
  readonly kind: OptionKind
  readonly fallback: unknown
  readonly help: string
  readonly choices?: readonly string[]
  /** Other spellings of the flag, where operators know one. */
  readonly aliases?: readonly string[]
  /** Has no flag, since a command line is visible to every user of the machine; is never printed. */
  readonly isSecret?: true
}

const keystore = (what: string): OptionEntry => ({
  group: 'keys',
  kind: 'string',
  fallback: null,
  help: `keystore v3 file with ${what}`,
})
const key = (what: string): OptionEntry => ({
  group: 'keys',
  kind: 'string',
  fallback: null,
  help: `hex of ${what}`,
  isSecret: true,
})
const URL_OF_ACCOUNT = '; URL#0xADDRESS names the account'
const signer = (what: string, form = ''): OptionEntry => ({
  group: 'keys',
  kind: 'string',
  fallback: null,
  help: `URL of a remote signer that holds ${what}${form}`,
})
const KEYS = {
  sequencer: 'the key that signs unsafe blocks',
  batcher: 'the key that posts batches to L1',
  provider: 'the key that signs receipts; the node serves models when it is set',
  sponsor: 'the key that pays for requests without a payment that come from this machine',
  validator: 'the key that signs verdicts and outputs',
  proposer: 'the key of the L1 account that proposes outputs and defends right ones; needs ether',
  challenger: 'the key of the L1 account that challenges wrong outputs; needs ether',
} as const

export const OPTION_TABLE: { readonly [K in keyof NodeOptions]: OptionEntry } = {
  role: {
    group: 'node',
    kind: 'string',
    fallback: 'follower',
    choices: ROLES,
    help: 'sequencer builds blocks and posts batches, follower keeps and serves the chain, validator also verifies every receipt',
  },
  dataDir: {
    group: 'node',
    kind: 'string',
    fallback: '.openledger',
    aliases: ['datadir'],
    help: 'folder of the database, content and keys; config.json in it is read',
  },
  rollup: {
    group: 'node',
    kind: 'string',
    fallback: 'rollup.json',
    help: 'file with the chain configuration',
  },
  l1Rpc: {
    group: 'L1',
    kind: 'list',
    fallback: ['http://127.0.0.1:8545'],
    help: 'L1 JSON-RPC endpoints, in order of preference',
  },
  l1Beacon: {
    group: 'L1',
    kind: 'list',
    fallback: [],
    help: 'L1 beacon API endpoints for blobs; default: the L1 endpoints',
  },
  l1StrictRoots: {
    group: 'L1',
    kind: 'boolean',
    fallback: true,
    help: 'check the transactions root of every L1 block; off only for anvil',
  },
  l1Quorum: {
    group: 'L1',
    kind: 'positive',
    fallback: 1,
    help: 'L1 endpoints that must have a block before it is followed, beside more than half of those that answer',
  },
  rpcHost: {
    group: 'network',
    kind: 'string',
    fallback: '127.0.0.1',
    aliases: ['http-host'],
    help: 'address that JSON-RPC and libp2p listen on',
  },
  rpcPort: {
    group: 'network',
    kind: 'port',
    fallback: 9545,
    aliases: ['http-port'],
    help: 'port of JSON-RPC, WebSocket, /v1, the page, /healthz and /readyz; 0 picks a free one',
  },
  rpcThreads: {
    group: 'network',
    kind: 'number',
    fallback: Math.max(1, Math.min(4, availableParallelism() - 1)),
    help: 'threads for calls, traces and log searches, so that none delays a block; 0: none',
  },
  rpcRate: {
    group: 'network',
    kind: 'number',
    fallback: 0,
    help: 'cost that one address may ask for per second, as rpc.discover states it for each method (a read is 1, a log search 10); 0: no limit',
  },
  behindProxy: {
    group: 'network',
    kind: 'boolean',
    fallback: false,
    help: 'a proxy on this machine passes on what strangers ask: true takes nobody for a client of this machine',
  },
  webL1: {
    group: 'network',
    kind: 'boolean',
    fallback: false,
    help: "let pages reach L1 through this node (/l1), at the cost of the operator's endpoint; for devnets",
  },
  webDomains: {
    group: 'network',
    kind: 'list',
    fallback: [],
    help: 'names (host or host:port) by which people reach this node and may sign in with a wallet (EIP-4361)',
  },
  sessionAccounts: {
    group: 'network',
    kind: 'list',
    fallback: [],
    help: 'accounts that, signed in, may use /v1/files and /v1/fine_tuning from anywhere, at the cost of this node',
  },
  p2pPort: {
    group: 'network',
    kind: 'port',
    fallback: 9222,
    help: 'libp2p TCP port; 0 picks a free one',
  },
  peers: { group: 'network', kind: 'list', fallback: [], help: 'multiaddrs to stay connected to' },
  bootnodes: {
    group: 'network',
    kind: 'list',
    fallback: [],
    help: 'multiaddrs to learn of other peers from',
  },
  p2pAnnounce: {
    group: 'network',
    kind: 'list',
    fallback: [],
    help: 'multiaddrs told to peers instead of those listened on',
  },
  p2pAllow: {
    group: 'network',
    kind: 'list',
    fallback: [],
    help: 'peer ids, IP addresses and subnets that may connect; empty: all',
  },
  p2pDeny: {
    group: 'network',
    kind: 'list',
    fallback: [],
    help: 'peer ids, IP addresses and subnets that may not connect',
  },
  sequencerRpc: {
    group: 'network',
    kind: 'string',
    fallback: null,
    help: "where a follower forwards users' transactions; without it they go by gossip",
  },
  metricsHost: {
    group: 'operation',
    kind: 'string',
    fallback: '127.0.0.1',
    help: 'address of the metrics server',
  },
  metricsPort: {
    group: 'operation',
    kind: 'port',
    fallback: null,
    help: 'port of /metrics, /healthz and /readyz; off unless set',
  },
  adminHost: {
    group: 'operation',
    kind: 'string',
    fallback: '127.0.0.1',
    help: 'address of the admin server',
  },
  adminPort: {
    group: 'operation',
    kind: 'port',
    fallback: null,
    help: 'port of admin_ methods, authenticated by JWT; off unless set',
  },
  jwtSecret: {
    group: 'operation',
    kind: 'string',
    fallback: null,
    help: 'file with 32 bytes of hex for the admin server; default: jwt.hex in the data directory, made when absent',
  },
  logLevel: {
    group: 'operation',
    kind: 'string',
    fallback: 'info',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    help: 'least level that is written',
  },
  logLevels: {
    group: 'operation',
    kind: 'list',
    fallback: [],
    help: 'levels of single rooms, such as p2p=debug,rpc=warn',
  },
  logFormat: {
    group: 'operation',
    kind: 'string',
    fallback: 'auto',
    choices: ['auto', 'human', 'json'],
    help: 'auto is human on a terminal and JSON lines elsewhere',
  },
  logFile: {
    group: 'operation',
    kind: 'string',
    fallback: null,
    help: 'log here instead of stderr; SIGHUP opens it anew',
  },
  diskFreeMinMib: {
    group: 'operation',
    kind: 'number',
    fallback: 512,
    help: 'MiB of free disk below which the node stops in good order; 0 is never',
  },
  pruneAfterHours: {
    group: 'operation',
    kind: 'number',
    fallback: 720,
    help: 'hours for which the state after each block is kept, for calls, proofs and traces at old blocks; 0 keeps every state (an archive)',
  },
  baseModel: {
    group: 'models',
    kind: 'string',
    fallback: join(import.meta.dirname, '..', 'native/models/base'),
    help: 'resident base model: a Hugging Face directory or a GGUF file',
  },
  basePrecision: {
    group: 'models',
    kind: 'string',
    fallback: 'f32',
    choices: ['f32', 'int8'],
    help: 'how the base is computed; int8 is another base, with a hash of its own',
  },
  verifyArtefacts: {
    group: 'models',
    kind: 'boolean',
    fallback: true,
    help: 'check adapters against the chain; off only to play a dishonest provider',
  },
  freeTokensPerDay: {
    group: 'models',
    kind: 'number',
    fallback: 1_000_000,
    help: 'tokens a day that callers on this machine may use without paying; the sponsor key pays; 0: none',
  },
  listProvider: {
    group: 'models',
    kind: 'boolean',
    fallback: false,
    help: 'keep this provider listed in ProviderRegistry, so that other nodes send it questions; needs a bond of 100 OPEN in Staking',
  },
  rateInMin: {
    group: 'models',
    kind: 'string',
    fallback: '0',
    help: 'least price of a prompt token this provider serves for, wei of OPEN',
  },
  rateOutMin: {
    group: 'models',
    kind: 'string',
    fallback: '0',
    help: 'least price of a token of an answer this provider serves for, wei of OPEN',
  },
  inferenceWorkers: {
    group: 'models',
    kind: 'boolean',
    fallback: false,
    help: 'answers are computed by `openledger worker --serve` over NATS, not by this process',
  },
  natsUrl: {
    group: 'models',
    kind: 'string',
    fallback: null,
    help: 'NATS server through which `openledger worker` trains elsewhere; none: in this process',
  },
  sequencerKey: key(KEYS.sequencer),
  sequencerKeystore: keystore(KEYS.sequencer),
  sequencerSigner: signer(KEYS.sequencer),
  batcherKey: key(KEYS.batcher),
  batcherKeystore: keystore(KEYS.batcher),
  batcherSigner: signer(KEYS.batcher),
  providerKey: key(KEYS.provider),
  providerKeystore: keystore(KEYS.provider),
  providerSigner: signer(KEYS.provider, URL_OF_ACCOUNT),
  sponsorKey: key(KEYS.sponsor),
  sponsorKeystore: keystore(KEYS.sponsor),
  sponsorSigner: signer(KEYS.sponsor, URL_OF_ACCOUNT),
  validatorKey: key(KEYS.validator),
  validatorKeystore: keystore(KEYS.validator),
  validatorSigner: signer(KEYS.validator, URL_OF_ACCOUNT),
  proposerKey: key(KEYS.proposer),
  proposerKeystore: keystore(KEYS.proposer),
  proposerSigner: signer(KEYS.proposer, URL_OF_ACCOUNT),
  challengerKey: key(KEYS.challenger),
  challengerKeystore: keystore(KEYS.challenger),
  challengerSigner: signer(KEYS.challenger, URL_OF_ACCOUNT),
  signerProtocol: {
    group: 'keys',
    kind: 'string',
    fallback: 'web3signer',
    choices: ['web3signer', 'op-signer'],
    help: 'what the remote signers speak',
  },
  passwordFile: {
    group: 'keys',
    kind: 'string',
    fallback: null,
    help: 'file with the password of the keystores; mode 0600',
  },
  password: {
    group: 'keys',
    kind: 'string',
    fallback: null,
    help: 'password of the keystores',
    isSecret: true,
  },
  attestors: {
    group: 'settlement',
    kind: 'list',
    fallback: [],
    help: 'JSON-RPC of other validators, asked to sign the outputs a proposer proposes',
  },
  outputHead: {
    group: 'settlement',
    kind: 'string',
    fallback: 'finalized',
    choices: ['safe', 'finalized'],
    help: 'the newest L2 blocks whose outputs are proposed, signed and judged',
  },
  sample: {
    group: 'settlement',
    kind: 'number',
    fallback: 100,
    help: 'percent of settled receipts that a validator runs again, drawn by the hash of the L1 block that carries them',
  },
  filingsPerDay: {
    group: 'settlement',
    kind: 'number',
    fallback: 100,
    help: 'decided receipts of agents that a validator files in the Validation registry (ERC-8004) in a day, from its own account; 0 for none',
  },
  outputIntervalBlocks: {
    group: 'settlement',
    kind: 'positive',
    fallback: 1800,
    help: 'L2 blocks between two proposed outputs',
  },
  settlementPollMs: {
    group: 'settlement',
    kind: 'number',
    fallback: 6000,
    help: 'milliseconds between two looks at the games on L1',
  },
  poolSlots: {
    group: 'network',
    kind: 'number',
    fallback: DEFAULT_POOL_OPTIONS.slotsMax,
    help: 'transactions that may wait in the pool, in slots of 32 KiB',
  },
  batchIntervalMs: {
    group: 'batching',
    kind: 'number',
    fallback: 6000,
    help: 'milliseconds between batches',
  },
  batchDa: {
    group: 'batching',
    kind: 'string',
    fallback: 'auto',
    choices: ['blobs', 'calldata', 'auto'],
    help: 'where batches go; auto is whichever costs less',
  },
  l1FeeGweiMax: {
    group: 'batching',
    kind: 'number',
    fallback: 500,
    help: 'most that is bid on L1, gwei per gas; above it batches wait',
  },
  l1BlobFeeGweiMax: {
    group: 'batching',
    kind: 'number',
    fallback: 500,
    help: 'most that is bid on L1, gwei per blob gas; above it batches go as calldata or wait',
  },
}

export const OPTION_NAMES = Object.keys(OPTION_TABLE) as (keyof NodeOptions)[]

export function isSecret(name: string): boolean {
  return OPTION_TABLE[name as keyof NodeOptions]?.isSecret === true
}

/** `rpcPort` -> `rpc-port`. */
export function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** `rpcPort` -> `OPENLEDGER_RPC_PORT`. */
export function variableOf(name: string): string {
  return `OPENLEDGER_${flagOf(name).replaceAll('-', '_').toUpperCase()}`
}
