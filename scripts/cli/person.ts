/** A person at the command line: a node to ask, a key to sign with, answers in words or as JSON. */
import { fromHex, type Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { readSecretFile } from '../../node/keys/files.ts'
import { createWallet, type Wallet } from '../devnet/wallet.ts'
import type { Call, FlagSpec } from './command.ts'
import { JSON_FLAG } from './result.ts'
import { type Rpc, rpcTo } from './rpc.ts'

/** A node asks peer after peer for content that it has not got before it says so. */
const TIMEOUT_MS = 120_000

export type Flags = Readonly<Record<string, FlagSpec>>

export const NODE_FLAGS: Flags = {
  url: {
    value: 'URL',
    help: "a node's JSON-RPC; else OPENLEDGER_URL",
    fallback: process.env.OPENLEDGER_URL ?? 'http://127.0.0.1:9545',
  },
  ...JSON_FLAG,
}

export const KEY_FLAGS: Flags = {
  ...NODE_FLAGS,
  'key-file': { value: 'FILE', help: 'hex key (mode 0600); else OPENLEDGER_KEY' },
}

export function nodeOf({ flags }: Call): { url: string; rpc: Rpc } {
  const url = flags.url as string
  return { url, rpc: rpcTo(url, TIMEOUT_MS) }
}

export type Person = {
  /** The node that is asked. */
  readonly url: string
  readonly wallet: Wallet
  readonly rpc: Rpc
  readonly chainId: number
  readonly key: Uint8Array
}

/** @throws NodeError `usage`, `key-file` */
export async function walletFor(call: Call): Promise<Person> {
  const { url, rpc } = nodeOf(call)
  const key = keyOf(call)
  const chainId = Number(await rpc<string>('eth_chainId'))
  const wallet = createWallet({ privateKey: key }, { rpc: url, chainId })
  return { url, wallet, rpc, chainId, key: fromHex(key) }
}

/** @throws NodeError `usage`, `key-file` */
export function keyOf({ flags }: Pick<Call, 'flags'>): Hex {
  const path = flags['key-file']
  const key = path ? readSecretFile(path, 'a key').trim() : process.env.OPENLEDGER_KEY
  if (key && /^0x[0-9a-fA-F]{64}$/.test(key)) return key as Hex
  throw userError('usage', 'a key is needed: --key-file FILE or OPENLEDGER_KEY, 0x and 64 digits')
}
