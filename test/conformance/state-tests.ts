/**
 * Ethereum's state tests (Execution Spec Tests, Prague and Osaka) through our own transaction executor: one signed
 * transaction each, decoded, checked and run as a block of a plain Ethereum chain would, blob transactions
 * included; post-state root and logs hash compared. A reject is right when a reject was expected.
 *
 *   node test/conformance/state-tests.ts [--archive FILE.tar.xz | --folder DIR] [--only TEXT] [--shard 1/2] [--every N]
 *
 * Without an archive: all of ../shared/conformance/state-tests.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { createAddressFromString } from '@ethereumjs/util'
import {
  fromHex,
  type Hex,
  keccak,
  keccakHex,
  toHex,
  utf8,
  ZERO_ADDRESS,
  ZERO_HASH,
} from '../../node/base/bytes.ts'
import { EMPTY_ACCOUNT } from '../../node/chain/account.ts'
import { TxError } from '../../node/chain/errors.ts'
import { executeTx } from '../../node/chain/execute-tx.ts'
import { createMachine } from '../../node/chain/machine.ts'
import { encodeRlp } from '../../node/chain/rlp.ts'
import { type StateReader, type StateWrites, trimmed, WorldState } from '../../node/chain/state.ts'
import { EMPTY_ROOT } from '../../node/chain/trie.ts'
import { decodeTxUnder } from '../../node/chain/tx.ts'
import type { Log } from '../../node/chain/types.ts'
import { forksOf } from '../../node/ethereum/forks.ts'
import {
  type BlobSchedule,
  createEthereumRules,
  type EthereumBlockRules,
  GAS_PER_BLOB,
} from '../../node/ethereum/rules.ts'

export const ARCHIVES: string = resolve(
  import.meta.dirname,
  '../../../shared/conformance/state-tests',
)

type Account = { nonce: Hex; balance: Hex; code: Hex; storage: Record<Hex, Hex> }
type Case = {
  env: Record<string, Hex>
  pre: Record<Hex, Account>
  post: Record<string, { hash: Hex; logs: Hex; txbytes: Hex; expectException?: string }[]>
  config: { chainid: Hex; blobSchedule?: Record<string, Record<keyof BlobSchedule, Hex>> }
}

export type Counts = {
  readonly passed: number
  /** Of the passed: transactions of type 3, and those that had to be refused. */
  readonly blobs: number
  readonly refused: number
  readonly faults: readonly string[]
}

/** `shard`: of how many, counted from 0; `every`: only each so manieth case. */
type Selection = {
  readonly only?: string
  readonly shard?: readonly [index: number, of: number]
  readonly every?: number
}

/** Unpacks and runs. */
export async function runArchive(archive: string, selection: Selection = {}): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), 'openledger-state-tests-'))
  try {
    const tar = spawnSync('tar', ['-xJf', archive, '-C', folder], { encoding: 'utf8' })
    if (tar.status !== 0) throw new Error(`cannot unpack ${archive}: ${tar.stderr}`)
    return await runFolder(folder, selection)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runFolder(
  folder: string,
  { only = '', shard: [index, of] = [0, 1], every = 1 }: Selection,
): Promise<Counts> {
  const counts = { passed: 0, blobs: 0, refused: 0 }
  const faults: string[] = []
  let number = 0
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.json') || !name.includes(only)) continue
    const cases = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, Case>
    for (const [id, one] of Object.entries(cases)) {
      number++
      if (number % of !== index || Math.floor(number / of) % every !== 0) continue
      const fault = await run(one).catch(
        (error: unknown) => `threw ${error instanceof Error ? error.stack : error}`,
      )
      if (fault !== null) {
        faults.push(`${id}\n  ${fault}`)
        continue
      }
      const post = Object.values(one.post)[0]?.[0]
      counts.passed++
      if (post?.txbytes.startsWith('0x03')) counts.blobs++
      if (post?.expectException !== undefined) counts.refused++
    }
  }
  return { ...counts, faults }
}

/** null: as expected. */
async function run(one: Case): Promise<string | null> {
  const [fork, posts] = Object.entries(one.post)[0] ?? []
  const post = posts?.[0]
  if (!fork || !post) return 'no post state'
  const rules = rulesOf(fork, one.config)
  const { disk, root } = await preState(one.pre)
  const state = new WorldState(disk, root)
  const env = (name: string, or: Hex = '0x0'): bigint => BigInt(one.env[name] ?? or)
  const machine = createMachine({
    rules,
    state,
    environment: {
      number: env('currentNumber'),
      coinbase: one.env.currentCoinbase as Hex,
      timestamp: env('currentTimestamp'),
      gasLimit: env('currentGasLimit'),
      mixHash: word(one.env.currentRandom ?? ZERO_HASH),
      baseFeePerGas: env('currentBaseFee', '0xa'),
      excessBlobGas: env('currentExcessBlobGas'),
    },
    ancestorHash: (number) => keccak(utf8(`${number}`)),
  })
  let logs: readonly Log[] = []
  let rejected: string | null = null
  try {
    const result = await executeTx(machine, decodeTxUnder(rules, fromHex(post.txbytes)), {
      gasLeft: machine.block.header.gasLimit,
      cumulativeGasUsed: 0n,
      l1Fee: null,
      blobGasLeft: BigInt(rules.blobs?.max ?? 0) * GAS_PER_BLOB,
    })
    if ('refusal' in result) throw new TxError(result.refusal)
    logs = result.receipt.logs
  } catch (error) {
    if (!(error instanceof TxError)) throw error
    rejected = `${error.code}: ${error.message}`
    machine.unwind(0)
  }
  if ((rejected !== null) !== (post.expectException !== undefined)) {
    return `${rejected ?? 'accepted'}, expected ${post.expectException ?? 'success'}`
  }
  const got = toHex(state.finish().stateRoot)
  if (got !== post.hash) return `root ${got}, expected ${post.hash}`
  const items = logs.map((log) => [fromHex(log.address), log.topics.map(fromHex), log.data])
  return keccakHex(encodeRlp(items)) === post.logs ? null : 'logs differ'
}

const FORK_KEYS = {
  homesteadBlock: 0,
  eip150Block: 0,
  eip158Block: 0,
  byzantiumBlock: 0,
  constantinopleBlock: 0,
  petersburgBlock: 0,
  istanbulBlock: 0,
  muirGlacierBlock: 0,
  berlinBlock: 0,
  londonBlock: 0,
  arrowGlacierBlock: 0,
  grayGlacierBlock: 0,
  mergeNetsplitBlock: 0,
  shanghaiTime: 0,
  cancunTime: 0,
  pragueTime: 0,
}
const known = new Map<string, EthereumBlockRules>()

function rulesOf(fork: string, config: Case['config']): EthereumBlockRules {
  const key = fork + JSON.stringify(config)
  let rules = known.get(key)
  if (rules) return rules
  if (fork !== 'Prague' && fork !== 'Osaka') throw new Error(`fork ${fork} is not known here`)
  const schedule = Object.entries(config.blobSchedule ?? {}).map(([name, entry]) => [
    name.toLowerCase(),
    {
      target: Number(entry.target),
      max: Number(entry.max),
      baseFeeUpdateFraction: Number(entry.baseFeeUpdateFraction),
    },
  ])
  rules = createEthereumRules({
    chainId: Number(config.chainid),
    forks: forksOf({ ...FORK_KEYS, ...(fork === 'Osaka' ? { osakaTime: 0 } : {}) }),
    blobSchedule: Object.fromEntries(schedule),
    depositContract: ZERO_ADDRESS,
  }).at({ number: 1n, timestamp: 1n })
  known.set(key, rules)
  return rules
}

class Disk implements StateReader {
  readonly #nodes = new Map<string, Uint8Array>()
  readonly #codes = new Map<string, Uint8Array>()
  node(hash: Uint8Array): Uint8Array | undefined {
    return this.#nodes.get(toHex(hash))
  }
  code(hash: Uint8Array): Uint8Array | undefined {
    return this.#codes.get(toHex(hash))
  }
  keep(writes: StateWrites): Uint8Array {
    for (const { hash, rlp } of writes.nodes) this.#nodes.set(toHex(hash), rlp)
    for (const { hash, code } of writes.codes) this.#codes.set(toHex(hash), code)
    return writes.stateRoot
  }
}

async function preState(pre: Case['pre']): Promise<{ disk: Disk; root: Uint8Array }> {
  const disk = new Disk()
  const state = new WorldState(disk, EMPTY_ROOT)
  for (const [address, account] of Object.entries(pre) as [Hex, Account][]) {
    const { nonce, balance, code, storage } = account
    state.setAccount(address, { ...EMPTY_ACCOUNT, nonce: BigInt(nonce), balance: BigInt(balance) })
    if (code !== '0x') await state.putCode(createAddressFromString(address), fromHex(code))
    for (const [slot, value] of Object.entries(storage)) {
      state.setSlot(address, word(slot), trimmed(fromHex(even(value))))
    }
  }
  return { disk, root: disk.keep(state.finish()) }
}

function word(hex: string): Hex {
  return `0x${hex.slice(2).padStart(64, '0')}`
}

function even(hex: string): Hex {
  return hex.length % 2 ? `0x0${hex.slice(2)}` : (hex as Hex)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      archive: { type: 'string' },
      folder: { type: 'string' },
      only: { type: 'string', default: '' },
      shard: { type: 'string', default: '1/1' },
      every: { type: 'string', default: '1' },
    },
  })
  const [nth, of] = values.shard.split('/').map(Number) as [number, number]
  const selection: Selection = {
    only: values.only,
    shard: [nth - 1, of],
    every: Number(values.every),
  }
  const all = ['prague', 'osaka'].map((fork) => join(ARCHIVES, `${fork}.tar.xz`)).filter(existsSync)
  const archives = values.archive ? [values.archive] : values.folder ? [] : all
  if (!values.folder && archives.length === 0) throw new Error(`no archive in ${ARCHIVES}`)
  for (const source of values.folder ? [values.folder] : archives) {
    const { passed, blobs, refused, faults } = values.folder
      ? await runFolder(source, selection)
      : await runArchive(source, selection)
    for (const fault of faults) console.log(fault)
    console.log(
      `${basename(source)}: ${passed} passed (${blobs} of blob transactions, ${refused} refused as expected), ${faults.length} failed`,
    )
    if (faults.length) process.exitCode = 1
  }
}

if (import.meta.main) await main()
