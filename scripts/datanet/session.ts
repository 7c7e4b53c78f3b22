/**
 * A person at work on Datanets from the command line: a node to ask, a key to sign with, and the folder that
 * keeps what has been committed and not yet revealed. Salt and rows are written there *before* the commitment
 * is sent, so a crash between commit and reveal loses no row.
 *
 *   <state>/<rows root>.jsonl   the row file
 *   <state>/<rows root>.json    the contribution, and how far it is
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { DatanetRegistry, DatanetValidation } from '../../genesis/contracts.generated.ts'
import { fromHex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import type { Contribution } from '../../node/datanet/contribution.ts'
import { readSecretFile } from '../../node/keys/files.ts'
import type { Call, FlagSpec } from '../cli/command.ts'
import { type Rpc, rpcTo } from '../cli/rpc.ts'
import { createWallet, type Wallet } from '../devnet/wallet.ts'

export const DATANETS: { address: `0x${string}`; abi: Abi } = {
  address: OPENLEDGER.datanetRegistry,
  abi: DatanetRegistry.abi as Abi,
}
export const VALIDATION: { address: `0x${string}`; abi: Abi } = {
  address: OPENLEDGER.datanetValidation,
  abi: DatanetValidation.abi as Abi,
}

type Flags = Readonly<Record<string, FlagSpec>>

export const NODE_FLAGS: Flags = {
  url: { value: 'URL', help: "a node's JSON-RPC", fallback: 'http://127.0.0.1:9545' },
  json: { help: 'as JSON' },
}

export const KEY_FLAGS: Flags = {
  ...NODE_FLAGS,
  'key-file': { value: 'FILE', help: 'hex key (mode 0600); else OPENLEDGER_KEY' },
}

export const STATE_FLAGS: Flags = {
  ...KEY_FLAGS,
  state: {
    value: 'DIR',
    help: 'what is committed and not yet revealed',
    fallback: '.openledger/contributions',
  },
}

/** A contribution that waits for its reveal. */
export type Pending = {
  readonly contribution: Contribution
  readonly file: string
}

export function nodeOf({ flags }: Call): { url: string; rpc: Rpc } {
  const url = flags.url as string
  return { url, rpc: rpcTo(url) }
}

export type Person = {
  readonly wallet: Wallet
  readonly rpc: Rpc
  readonly chainId: number
  readonly key: Uint8Array
}

/** @throws NodeError `usage`, `key-file` */
export async function walletFor(call: Call): Promise<Person> {
  const { url, rpc } = nodeOf(call)
  const path = call.flags['key-file']
  const key = path ? readSecretFile(path, 'a key').trim() : process.env.OPENLEDGER_KEY
  if (!key || !/^0x[0-9a-fA-F]{64}$/.test(key)) {
    throw userError('usage', 'a key is needed: --key-file FILE or OPENLEDGER_KEY, 0x and 64 digits')
  }
  const chainId = Number(await rpc<string>('eth_chainId'))
  const wallet = createWallet({ privateKey: key as `0x${string}` }, { rpc: url, chainId })
  return { wallet, rpc, chainId, key: fromHex(key) }
}

export function idOf(text: string | undefined): number {
  const id = Number(text)
  if (Number.isSafeInteger(id) && id > 0) return id
  throw userError('usage', `'${text}' is no Datanet id: a number from 1 on`)
}

/** Writes a contribution so that it survives a crash of the next line. */
export async function keepPending(
  state: string,
  contribution: Contribution,
  bytes: Uint8Array,
): Promise<void> {
  await mkdir(state, { recursive: true })
  const path = join(state, contribution.rowsRoot)
  await writeFile(`${path}.jsonl`, bytes, { flush: true })
  const text = JSON.stringify(contribution, (_, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
  await writeFile(`${path}.tmp`, text, { flush: true })
  await rename(`${path}.tmp`, `${path}.json`)
}

export async function readPending(state: string, datanetId: bigint): Promise<Pending[]> {
  const names = await readdir(state).catch(() => [] as string[])
  const found: Pending[] = []
  for (const name of names.filter((one) => one.endsWith('.json')).sort()) {
    const value = JSON.parse(await readFile(join(state, name), 'utf8'))
    const ids = { datanetId: BigInt(value.datanetId), byteCount: BigInt(value.byteCount) }
    if (ids.datanetId !== datanetId) continue
    const file = join(state, name.replace(/json$/, 'jsonl'))
    found.push({ contribution: { ...value, ...ids }, file })
  }
  return found
}

export async function dropPending(state: string, rowsRoot: string): Promise<void> {
  await rm(join(state, `${rowsRoot}.json`), { force: true })
  await rm(join(state, `${rowsRoot}.jsonl`), { force: true })
}

/** Answers as JSON on one line, or as the lines given. */
export function show(call: Call, value: unknown, lines: readonly string[]): void {
  const json = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? String(item) : item))
  process.stdout.write(`${call.switches.has('json') ? json : lines.join('\n')}\n`)
}
