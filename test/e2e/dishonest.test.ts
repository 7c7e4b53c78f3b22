/**
 * A second provider, a process of its own over the same base, that dies in the middle of an answer and comes back to lie. Who
 * catches it is a validator that has L1 and one peer: the liar.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'
import t from 'tap'
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import {
  InferenceEscrow,
  ReceiptRegistry,
  RewardDistributor,
} from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { payingFetch } from '../../node/model/paying-fetch.ts'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { ask, type ReceiptView, type VerdictView } from '../../scripts/devnet/ask.ts'
import { bondProvider, createRpc, until } from '../../scripts/devnet/economy.ts'
import { freePort, type Program, restartRole, startRole } from '../../scripts/devnet/roles.ts'
import { changedBase, CHANGED as OTHER_WEIGHT } from '../support/changed-base.ts'
import { workDir } from '../support/dir.ts'
import { type Live, startLive } from './stack.ts'

const QUESTION = { model: 'sotu', prompt: 'The people of the United States', maxTokens: 8 }
const CHANGED = 3
const REWARDS = { address: OPENLEDGER.rewardDistributor, abi: RewardDistributor.abi as Abi }
const RECEIPTS = { address: OPENLEDGER.receiptRegistry, abi: ReceiptRegistry.abi as Abi }
const ESCROW = { address: OPENLEDGER.inferenceEscrow, abi: InferenceEscrow.abi as Abi }
const LIAR = devnetAccount('bob')

/** The second provider's program and its misbehaviour. */
const behaving = (env: Record<string, string>): Program => ({
  file: join(import.meta.dirname, '../support/dishonest-node-process.ts'),
  env,
})

type Receipt = ReceiptView & { readonly provider: Hex }

/** Long enough to report in, however slow the machine. */
const CHALLENGE_SECONDS = 86_400n

t.test('a provider that dies, and one that lies', { timeout: 540_000 }, async (t) => {
  const live = await startLive(workDir(t), { challengeSeconds: CHALLENGE_SECONDS })
  t.teardown(() => live.stop())
  const alice = live.wallet('alice')
  const dir = join(live.dir, 'second')
  const charged = () =>
    alice.read({ ...ESCROW, functionName: 'charged', args: [alice.address, LIAR.address] })

  await t.test(
    'a provider killed in the middle of a stream: a clear end, nothing charged, and another answers',
    async (t) => {
      await bondProvider(live.wallet('bob'), '100')
      const provider = await startRole(
        'follower',
        dir,
        await secondConfig(live),
        behaving({ HOLD_AFTER: '3' }),
      )
      t.teardown(() => provider.kill())
      const asker = live.nodes.validator.url
      await until('the listing', async () => {
        const listed = await createRpc(asker)<{ peerId: string }[]>('openledger_listProviders')
        return listed.length > 1 && listed.some(({ peerId }) => provider.p2p.endsWith(`/${peerId}`))
      })
      // Terms come from the second provider's own door: a voucher names whom it is for, and goes there first.
      const pay = payingFetch({
        account: alice.signer,
        budgetWei: 10n ** 18n,
        fetch: through(provider.url, asker),
      })
      const body = { model: 'sotu', prompt: QUESTION.prompt, max_tokens: 8, stream: true } as const
      const client = (fetch_: typeof fetch) =>
        new OpenAI({ baseURL: `${asker}/v1`, apiKey: 'none', maxRetries: 0, fetch: fetch_ })
      let shown = ''
      const failure = await (async () => {
        for await (const { choices } of await client(pay).completions.create(body)) {
          shown += choices[0]?.text ?? ''
          if (shown !== '') await provider.kill()
        }
      })().then(
        () => null,
        (cause: unknown) => cause,
      )
      t.match(failure, {
        code: 'provider-gone',
        message: new RegExp(`provider ${LIAR.address} went away in the middle`),
      })
      t.not(shown, '', 'what came before was shown')

      const retry = payingFetch({ account: alice.signer, budgetWei: 10n ** 18n })
      let last: object = {}
      for await (const event of await client(retry).completions.create(body)) last = event
      const { receipt } = (last as { openledger: { receipt: { provider: string } } }).openledger
      t.equal(receipt.provider, devnetAccount('provider').address, 'the retry')
    },
  )

  await t.test('a provider that changes one token is found, named, and paid nothing', async (t) => {
    const provider = await restartRole('follower', dir, behaving({ CHANGE_TOKEN: `${CHANGED}` }))
    t.teardown(() => provider.stop())
    t.equal(await charged(), 0n, 'what was not delivered was not charged, also not after a restart')
    const peer = provider.p2p.split('/').at(-1)
    const few = { peers: [provider.p2p], p2pAllow: [peer], sequencerRpc: undefined }
    await reconfigure(live, few)
    const call = createRpc(live.nodes.validator.url)

    const held = await alice.read<bigint>({ ...REWARDS, functionName: 'totalHeld', args: [] })
    const before = await alice.read<bigint>({
      ...ESCROW,
      functionName: 'balanceOf',
      args: [alice.address],
    })
    const answer = await ask(QUESTION, {
      url: provider.url,
      payer: alice,
      rpc: createRpc(provider.url),
    })
    const receipt = answer.receipt as Receipt
    const { receiptHash: hash } = receipt
    t.equal(receipt.provider, LIAR.address)
    t.equal(await charged(), BigInt(receipt.fee))
    const verdict = await until('the verdict', () =>
      call<VerdictView | null>('openledger_getVerdict', hash),
    )
    t.match(verdict, { ok: false, difference: { stage: 'tokens', field: 'token', index: CHANGED } })
    t.same(await call<unknown[]>('net_peerCount'), '0x1', 'which heard L1 and the liar alone')

    const reports = await until('the report on chain', async () => {
      const found = await alice.reader.getContractEvents({
        ...RECEIPTS,
        eventName: 'ReceiptReported',
        args: { receiptHash: hash },
        fromBlock: BigInt(receipt.block.number),
        strict: true,
      })
      return found.length > 0 && found
    })
    t.match(reports[0]?.args, {
      stage: 'tokens',
      difference: new RegExp(`^token\\[${CHANGED}\\]: claimed \\d+, found \\d+$`),
    })
    t.equal(
      await alice.read({ ...REWARDS, functionName: 'totalHeld', args: [] }),
      held + BigInt(receipt.fee),
      'all of its payouts are held',
    )

    const booked = await alice.reader.getContractEvents({
      ...RECEIPTS,
      eventName: 'Booked',
      args: { receiptHash: hash },
      fromBlock: BigInt(receipt.block.number),
      strict: true,
    })
    const [{ args: lists }] = booked as unknown as [
      { args: { accounts: Hex[]; amounts: bigint[] } },
    ]
    const { accounts, amounts } = lists
    await live.wallet('batcher').send({
      ...RECEIPTS,
      functionName: 'resolve',
      args: [hash, receipt.payer, accounts, amounts, true],
    })
    t.equal(
      await alice.read({ ...ESCROW, functionName: 'balanceOf', args: [alice.address] }),
      before,
      'the payer has its wei back',
    )
    t.equal(await alice.read({ ...REWARDS, functionName: 'totalHeld', args: [] }), held)
  })

  await t.test('a provider with one other weight is named by operator, tile and row', async (t) => {
    const weights = changedBase(live.dir)
    const provider = await restartRole('follower', dir, behaving({ WEIGHTS: weights }))
    t.teardown(() => provider.stop())
    const { validator } = live.nodes
    const asking = { url: provider.url, payer: alice, rpc: createRpc(provider.url) }
    const { receipt } = await ask(QUESTION, asking)
    const call = createRpc(validator.url)
    const verdict = await until('the verdict', () =>
      call<VerdictView | null>('openledger_getVerdict', receipt.receiptHash),
    )
    const { layer, operator, column } = OTHER_WEIGHT
    t.match(verdict, {
      ok: false,
      difference: { stage: 'trace', at: { layer, operator, tile: 1, row: 0, column } },
    })
    const shown = await call<Hex>('openledger_openPass', receipt.receiptHash)
    t.equal(shown.length, 2 + 2 * (65 + 32 * (4 + 15 * 4)), 'which it passes on from the provider')
  })
})

/** The sequencer's network, another key, a port that stays. */
async function secondConfig(live: Live): Promise<Record<string, unknown>> {
  const { sequencer } = live.nodes
  return {
    rollup: join(live.dir, 'rollup.json'),
    l1Rpc: [live.l1.rpc],
    l1Beacon: [live.l1.beacon],
    l1StrictRoots: false,
    rpcPort: 0,
    p2pPort: await freePort(0),
    peers: [sequencer.p2p],
    sequencerRpc: sequencer.url,
    providerKey: LIAR.privateKey,
    listProvider: true,
  }
}

/** Starts the validator on a changed configuration. */
async function reconfigure(live: Live, change: object): Promise<void> {
  const path = join(live.dir, 'validator/config.json')
  const config = JSON.parse(readFileSync(path, 'utf8'))
  await live.nodes.validator.stop()
  writeFileSync(path, JSON.stringify({ ...config, ...change }))
  live.nodes = { ...live.nodes, validator: await restartRole('validator', live.dir) }
}

/** Asks the terms at one door, and sends what is paid for to another. */
function through(terms: string, paid: string): typeof fetch {
  return (input, init) => {
    const request = new Request(input, init)
    if (request.headers.has('x-openledger-payment')) return fetch(request)
    return fetch(new Request(request.url.replace(paid, terms), request))
  }
}
