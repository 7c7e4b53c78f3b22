/** The live stack for whole-process tests: the devnet's own steps with a small Datanet. */
import type { ChainConfig, Economy } from '../../genesis/chain.ts'
import { devnetAccount, devnetAccounts } from '../../scripts/devnet/accounts.ts'
import type { L1 } from '../../scripts/devnet/anvil.ts'
import {
  bondProvider,
  bridge,
  createDatanet,
  createRpc,
  fundEscrow,
  offerAgent,
  type Rpc,
  setRates,
  train,
} from '../../scripts/devnet/economy.ts'
import { loadAuthors } from '../../scripts/devnet/sotu.ts'
import { type Nodes, startL1, startNodes } from '../../scripts/devnet/stack.ts'
import { createWallet, type Wallet } from '../../scripts/devnet/wallet.ts'
import { ResultCheck } from '../support/result-check.ts'

const ANY_PORT = { l1: 0, sequencer: 0, validator: 0 }
const ROWS_PER_AUTHOR = 2
/** Each has rows in the model, and a key. */
export const authors = (): ReturnType<typeof loadAuthors> => loadAuthors(ROWS_PER_AUTHOR)
export const MODEL = 'sotu'

export type Live = {
  readonly dir: string
  readonly l1: L1
  readonly config: ChainConfig
  readonly chainId: number
  nodes: Nodes
  readonly wallet: (name: Parameters<typeof devnetAccount>[0]) => Wallet
  readonly rpc: Rpc
  stop(): Promise<void>
}

/** Everything up to a registered, funded model. */
/** @param economy otherwise than the devnet's */
export async function startLive(dir: string, economy: Partial<Economy> = {}): Promise<Live> {
  const { l1, config } = await startL1(dir, ANY_PORT, undefined, economy)
  const nodes = await startNodes(dir, l1, ANY_PORT)
  const live: Live = {
    dir,
    l1,
    config,
    chainId: config.l2ChainId,
    nodes,
    wallet: (name) =>
      createWallet(devnetAccount(name), {
        rpc: live.nodes.sequencer.url,
        chainId: config.l2ChainId,
      }),
    rpc: await checkedRpc(nodes.sequencer.url),
    stop: async () => {
      await live.nodes.validator.stop()
      await live.nodes.sequencer.stop()
      await l1.stop()
    },
  }
  const { wallet, rpc } = live
  const [alice, builder] = [wallet('alice'), wallet('builder')]
  const silent = (): void => {}
  const funds = {
    l1Rpc: l1.rpc,
    config,
    holder: devnetAccount('deployer'),
    accounts: devnetAccounts(),
    openEach: '1000',
  }
  await bridge(funds, alice.reader, silent)
  const datanet = await createDatanet(
    { name: 'speeches', authors: authors(), curator: wallet('curator'), rpc },
    silent,
  )
  const { modelId } = await train({ name: MODEL, datanet, builder, rpc }, silent)
  const rates = { rateIn: 10_000_000_000_000n, rateOut: 30_000_000_000_000n }
  await setRates(modelId, { builder, ...rates })
  await offerAgent(modelId, builder, MODEL)
  await fundEscrow(alice, '100')
  await bondProvider(wallet('provider'), '100')
  return live
}

/** Holds every answer to the schema of the node's own method table. */
export async function checkedRpc(url: string): Promise<Rpc> {
  const rpc = createRpc(url)
  const document = await rpc<Parameters<typeof ResultCheck.ofDocument>[0]>('rpc.discover')
  const check = ResultCheck.ofDocument(document)
  return async (method, ...params) => {
    const result = await rpc<never>(method, ...params)
    const fault = check.fault(method, result)
    if (fault) throw new Error(fault)
    return result
  }
}
