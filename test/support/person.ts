/** People at the command line, before a chain behind JSON-RPC that makes a block whenever somebody sends something. */
import type { Test } from 'tap'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { txHash } from '../../node/chain/tx.ts'
import type { ContentStore } from '../../node/content/store.ts'
import { Registry } from '../../node/model/registry.ts'
import type { RpcServerModules } from '../../node/rpc/server.ts'
import type { Person } from '../../scripts/cli/person.ts'
import { rpcTo } from '../../scripts/cli/rpc.ts'
import { createWallet } from '../../scripts/devnet/wallet.ts'
import { extend, type Wallet } from './chain.ts'
import type { Economy } from './economy.ts'
import { serveOpenledger } from './rpc.ts'

export type People = {
  readonly url: string
  readonly rpc: Person['rpc']
  /** @returns who that is at the command line, with a state folder that all share */
  person(of: Wallet): Person & { readonly state: string }
}

export async function servePeople(
  t: Test,
  economy: Economy,
  {
    content,
    state,
    ...modules
  }: { content: ContentStore; state: string } & Partial<RpcServerModules>,
): Promise<People> {
  const { chain } = economy
  const block = (raws: readonly Uint8Array[]) =>
    extend(chain, raws, { timestamp: economy.now + 1n })
  const read = (hash: Hex): Promise<Uint8Array> => content.get(hash)
  const url = await serveOpenledger(t, chain, {
    ...modules,
    models: { registry: new Registry(chain), readContent: read },
    content,
    // A block for each transaction, and one more: a reveal waits for the block after its commitment.
    submitTransaction: async (raw) => {
      await block([raw])
      await block([])
      return txHash(raw)
    },
  })
  const rpc = rpcTo(url, 60_000)
  const { l2ChainId: chainId } = chain.config
  const person = ({ key }: Wallet) => {
    const wallet = createWallet({ privateKey: toHex(key) }, { rpc: url, chainId })
    return { url, wallet, rpc, chainId, key, state }
  }
  return { url, rpc, person }
}
