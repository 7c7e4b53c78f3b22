/**
 * A provider that is paid by x402 or vouchers, in a process of its own, to be killed: `node paid-process.ts DIR make|open GATE`.
 * Chain, content, settlement queue and answers lie in DIR. At the gate it says so and goes no further:
 *
 *   before  the x402 payment is not sent       after  it is in a block
 *   kept    the answer is on disk, no receipt  held   the receipt is, the voucher is not spent  spent  it is        none
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { ContentStore } from '../../node/content/store.ts'
import { localSigner } from '../../node/keys/signer.ts'
import type { NodeAccount } from '../../node/model/account.ts'
import { Registry } from '../../node/model/registry.ts'
import type { SettlerTable } from '../../node/model/settle.ts'
import { Facilitator } from '../../node/x402/facilitator.ts'
import { FACILITATOR_DEFAULTS } from '../../node/x402/options.ts'
import { WOPEN } from '../../node/x402/schemes.ts'
import { Till } from '../../node/x402/till.ts'
import { payByX402 } from '../../node/x402/way.ts'
import { bob, CHAIN_ID, ETHER } from './chain.ts'
import { carol, Economy, provider } from './economy.ts'
import { escrow, receipts } from './model.ts'
import { openProvider, openService, type Provider } from './service.ts'

/** What it tells its parent. */
export type Told =
  | { readonly url: string; readonly model: string; readonly waiting: readonly Hex[] }
  | { readonly gate: string }
  | { readonly settled: boolean; readonly wopen: string; readonly charged: string }

const [dir = '', life = '', gate = ''] = process.argv.slice(2)
const tell = (told: Told): void => void process.send?.(told)
/** The process ends by a kill, and cleans up nothing. */
const noTest = { teardown: () => {}, testdir: () => dir } as unknown as Parameters<
  typeof openService
>[0]
const stop = (): Promise<never> => {
  tell({ gate })
  return new Promise(() => {})
}
/** Receipts of an earlier life. */
const waiting: Hex[] = []
/** A receipt that waits for its payment is written twice: held, and when it is paid. */
function settlements(table: SettlerTable): SettlerTable {
  const held = new Set<Hex>()
  return {
    delete: (key) => table.delete(key),
    async *iterate() {
      for await (const row of table.iterate()) {
        waiting.push(toHex(row[0]))
        yield row
      }
    },
    put: async (key, value) => {
      const isHeld = !held.has(toHex(key))
      held.add(toHex(key))
      if (gate === (isHeld ? 'kept' : 'spent')) return stop()
      await table.put(key, value)
      if (gate === 'held') return stop()
    },
  }
}
const options = { dir: join(dir, 'provider'), settlements }
mkdirSync(options.dir, { recursive: true })

async function openAgain(): Promise<{ economy: Economy; service: Provider; registry: Registry }> {
  const economy = await Economy.open(join(dir, 'chain'))
  const content = await ContentStore.open(join(dir, 'content'))
  const registry = new Registry(economy.chain)
  const world = { economy, content }
  return {
    economy,
    registry,
    service: await openProvider(noTest, { world, registry, options }, provider),
  }
}

async function make(): ReturnType<typeof openAgain> {
  const opened = await openService(noTest, options)
  await opened.economy.send(carol, WOPEN, 'deposit', [], { value: ETHER })
  return { economy: opened.economy, registry: opened.registry, service: opened }
}

const { economy, registry, service } = await (life === 'make' ? make() : openAgain())
const account = {
  address: provider.address,
  send: async (...[contract, name, args, value = 0n]: Parameters<NodeAccount['send']>) => {
    const at = name === 'transferWithAuthorization' ? gate : 'none'
    if (at === 'before') return stop()
    const sent = await economy.sendRaw(provider, contract, name, args, { value })
    if (at === 'after') return stop()
    return sent.receipt.transactionHash
  },
}
const facilitator = new Facilitator(FACILITATOR_DEFAULTS, {
  chain: economy.chain,
  chainId: CHAIN_ID,
  account,
  log: silentLog,
  now: Date.now,
})
const included = (hash: Hex): Promise<number> => facilitator.included(hash)
service.service.addWayOfPaying(
  payByX402({
    facilitator,
    till: new Till({ chain: economy.chain, account, log: silentLog, included }),
    signer: localSigner(provider.key),
    domain: { chainId: CHAIN_ID, verifyingContract: escrow.address },
    escrow: (payer, of, session) => registry.escrow(payer, of, session),
  }),
)
process.on('message', async (receiptHash: Hex) => {
  await service.settle()
  const settled = await economy.read<boolean>(receipts, 'isSettled', [receiptHash])
  const wopen = await economy.read<bigint>(WOPEN, 'balanceOf', [carol.address])
  const { charged } = await registry.escrow(bob.address, provider.address)
  tell({ settled, wopen: wopen.toString(), charged: charged.toString() })
})
tell({ url: service.url, model: 'tiny', waiting })
