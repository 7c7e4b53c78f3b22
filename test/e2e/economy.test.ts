/**
 * Whole processes on a real L1: one paid inference from deposit to verdict, foreign tools, kills, a
 * provider that cheats. One stack serves all of it, in order.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ClientFactory } from '@a2a-js/sdk/client'
import { Client as McpClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { ContractFactory, Wallet as EthersWallet, JsonRpcProvider } from 'ethers'
import OpenAI from 'openai'
import t from 'tap'
import type { Abi, TransactionReceipt } from 'viem'
import { createWalletClient, http, parseEther } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import {
  InferenceEscrow,
  OpenToken,
  ReputationRegistry,
  RewardDistributor,
} from '../../genesis/contracts.generated.ts'
import { payingFetch } from '../../node/model/paying-fetch.ts'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { ask, awaitVerdict, type ReceiptView, type VerdictView } from '../../scripts/devnet/ask.ts'
import { createRpc, until } from '../../scripts/devnet/economy.ts'
import { restartRole, startRole } from '../../scripts/devnet/roles.ts'
import { workDir } from '../support/dir.ts'
import { authors, startLive } from './stack.ts'

const run = promisify(execFile)
/** What the README promises of its programs. */
const SCRIPT_LINES_MAX = 30
const SCRIPT_WIDTH_MAX = 120
const QUESTION = { model: 'sotu', prompt: 'The people of the United States', maxTokens: 8 }

t.test('the economy, live', { timeout: 540_000 }, async (t) => {
  const live = await startLive(workDir(t))
  t.teardown(() => live.stop())
  const { rpc, chainId } = live
  const sequencerUrl = live.nodes.sequencer.url
  const alice = live.wallet('alice')
  const validatorRpc = () => createRpc(live.nodes.validator.url)
  const askAlice = () => ask(QUESTION, { url: sequencerUrl, payer: alice, rpc })
  const verdictOn = (receipt: string) =>
    until('the verdict', () => validatorRpc()<VerdictView | null>('openledger_getVerdict', receipt))

  await t.test(
    'a paid inference is settled to the wei, posted as a blob and verified',
    async (t) => {
      const before = await alice.reader.getBlockNumber()
      const { receipt } = await askAlice()
      t.ok(receipt.block.number > Number(before), 'settled after it was asked')
      const { platform, modelOwner, stakers, contributors } = receipt.shares
      const sum = [platform, modelOwner, stakers, contributors].reduce((a, b) => a + BigInt(b), 0n)
      t.equal(sum, BigInt(receipt.fee), 'the shares are the fee')
      const paid = receipt.contributors.reduce((a, { amount }) => a + BigInt(amount), 0n)
      t.equal(paid, BigInt(contributors), "the payouts are the contributors' share")
      const outcome = await awaitVerdict(
        receipt,
        { sequencer: rpc, validator: validatorRpc() },
        () => {},
      )
      t.match(outcome.verdict, { ok: true, difference: null })
      t.ok(outcome.agreed, 'both nodes hold the same block')
      t.match(outcome.batch.versionedHashes[0], /^0x01[0-9a-f]{62}$/)
      const [first] = receipt.contributors
      const rewards = await rpc<{ pending: string }>('openledger_pendingRewards', first?.account)
      t.ok(BigInt(rewards.pending) >= BigInt(first?.amount ?? 0), 'the best contributor accrued it')
    },
  )

  await t.test(
    'a node without a model passes a question on, and its payment with it',
    async (t) => {
      const listed = () =>
        validatorRpc()<{ address: string; answers: number }[]>('openledger_listProviders')
      await until('the listing', async () => (await listed()).length > 0)
      const pay = payingFetch({ account: alice.signer, budgetWei: 10n ** 18n })
      const client = new OpenAI({
        baseURL: `${live.nodes.validator.url}/v1`,
        apiKey: 'none',
        maxRetries: 0,
        fetch: pay,
      })
      const question = { model: 'sotu', prompt: QUESTION.prompt, max_tokens: 8 }
      const stream = await client.completions.create({ ...question, stream: true })
      let last: object = {}
      for await (const event of stream) last = event
      const { receiptHash, receipt } = (
        last as { openledger: { receiptHash: string; receipt: object } }
      ).openledger
      t.match(receipt, {
        provider: devnetAccount('provider').address,
        payer: alice.address.toLowerCase(),
      })
      t.match(
        await verdictOn(receiptHash),
        { ok: true },
        'settled, and found right by the node that asked',
      )
      t.match(await listed(), [{ answers: 2 }], 'the 402 and the answer were measured')
    },
  )

  await t.test(
    "README's agent finds a model, pays by x402, verifies, gives feedback and is paid for its rows",
    async (t) => {
      const { receipt } = await ask(
        { ...QUESTION, temperature: 0 },
        { url: sequencerUrl, payer: alice, rpc },
      )
      const best = receipt.contributors[0]?.account as `0x${string}`
      const agent = authors().find(({ address }) => address === best)
      const writer = createWalletClient({ account: alice.signer, transport: http(sequencerUrl) })
      const hash = await writer.sendTransaction({ to: best, value: parseEther('1'), chain: null })
      await alice.confirmed(hash, 'the gift')
      const told = await runReadme('agent.ts', {
        OPENLEDGER_URL: sequencerUrl,
        AGENT_KEY: agent?.privateKey ?? '',
      })
      t.comment(told)
      const [found] = told.match(/modelId: '(0x[0-9a-f]{64})'/)?.slice(1) ?? []
      t.equal(found, receipt.modelId, 'the model that the registry offers')
      const [, receiptHash] = told.match(/verified .*?(0x[0-9a-f]{64})/s) ?? []
      const own = await rpc<ReceiptView>('openledger_getReceipt', receiptHash)
      t.equal(own.payer, devnetAccount('provider').address, "paid by x402: the till's receipt")
      const verified = /shares: (\d+)/.exec(told)?.[1]
      t.equal(Number(verified), receipt.contributors.length, 'every share was proved')
      const place = BigInt(/^said (\d+)n$/m.exec(told)?.[1] ?? 0)
      const agentId = BigInt(/agentId: (\d+)n/.exec(told)?.[1] ?? 0)
      t.equal(
        await alice.read({
          address: OPENLEDGER.reputationRegistry,
          abi: ReputationRegistry.abi as Abi,
          functionName: 'receiptOf',
          args: [agentId, best, place],
        }),
        receiptHash,
        'the feedback names its receipt',
      )
      const share = own.contributors.find(({ account }) => account === best)
      t.ok(BigInt(share?.amount ?? 0) > 0n)
      const claimed = BigInt(/^earned (\d+)n$/m.exec(told)?.[1] ?? 0)
      const rewards = { address: OPENLEDGER.rewardDistributor, abi: RewardDistributor.abi as Abi }
      const claims = await alice.reader.getContractEvents({
        ...rewards,
        eventName: 'Claimed',
        args: { account: best },
        fromBlock: 0n,
        strict: true,
      })
      t.same(
        claims.map(({ args }) => (args as { amount?: bigint }).amount),
        [claimed],
        'what was claimed is what the chain says',
      )
      t.ok(claimed > 0n)
    },
  )

  await t.test('a node that hears nobody but L1 arrives at the same blocks', async (t) => {
    const {
      peers: _,
      sequencerRpc: __,
      ...config
    } = JSON.parse(readFileSync(join(live.dir, 'validator/config.json'), 'utf8'))
    const alone = join(live.dir, 'alone')
    const own = { dataDir: join(alone, 'data'), logFile: join(alone, 'log.jsonl') }
    const hermit = await startRole('validator', alone, {
      ...config,
      ...own,
      rpcPort: 0,
      p2pPort: 0,
    })
    t.teardown(() => hermit.stop())
    const call = createRpc(hermit.url)
    const goal = Number(await rpc<string>('eth_blockNumber'))
    await until(
      'derivation from L1',
      async () => Number(await call<string>('eth_blockNumber')) >= goal,
    )
    t.equal(await call<string>('net_peerCount'), '0x0', 'no peer was ever there')
    for (const number of [1, Math.floor(goal / 2), goal]) {
      const [ours, theirs] = await Promise.all(
        [rpc, call].map((ask_) =>
          ask_<{ stateRoot: string; hash: string }>(
            'eth_getBlockByNumber',
            `0x${number.toString(16)}`,
            false,
          ),
        ),
      )
      t.same([theirs?.hash, theirs?.stateRoot], [ours?.hash, ours?.stateRoot], `block ${number}`)
    }
  })

  await t.test('viem, ethers and cast deploy and call a contract', async (t) => {
    const bob = devnetAccount('bob')
    const supply = 10n ** 27n
    const writer = createWalletClient({
      account: live.wallet('bob').signer,
      transport: http(sequencerUrl),
    })
    const hash = await writer.deployContract({
      abi: OpenToken.abi as Abi,
      bytecode: OpenToken.bytecode,
      args: [bob.address],
      chain: null,
    })
    const { contractAddress } = await alice.reader.waitForTransactionReceipt({ hash })
    const read = { abi: OpenToken.abi as Abi, functionName: 'totalSupply', args: [] }
    t.equal(
      await alice.read({ address: contractAddress as `0x${string}`, ...read }),
      supply,
      'viem',
    )

    const ethersProvider = new JsonRpcProvider(sequencerUrl, chainId, { staticNetwork: true })
    const signer = new EthersWallet(bob.privateKey, ethersProvider)
    const factory = new ContractFactory(OpenToken.abi as never, OpenToken.bytecode, signer)
    const deployed = await (await factory.deploy(bob.address)).waitForDeployment()
    t.equal(
      await (deployed as unknown as { totalSupply(): Promise<bigint> }).totalSupply(),
      supply,
      'ethers',
    )
    ethersProvider.destroy()

    const cast = join(import.meta.dirname, '../../node_modules/.bin/cast')
    const key = ['--rpc-url', sequencerUrl, '--private-key', bob.privateKey]
    const created = await run(cast, [
      'send',
      ...key,
      '--json',
      '--create',
      OpenToken.bytecode,
      'constructor(address)',
      bob.address,
    ])
    const { contractAddress: address } = JSON.parse(created.stdout) as TransactionReceipt
    const called = await run(cast, [
      'call',
      '--rpc-url',
      sequencerUrl,
      address as string,
      'totalSupply()(uint256)',
    ])
    t.match(called.stdout, /^1000000000000000000000000000/, 'cast')
  })

  await t.test('bad inference requests get a clear error and settle nothing', async (t) => {
    const count = async () => (await rpc<unknown[]>('openledger_listReceipts', 100)).length
    const before = await count()
    const post = async (body: string, headers: Record<string, string> = {}) => {
      const response = await fetch(`${sequencerUrl}/v1/completions`, {
        method: 'POST',
        body,
        headers,
      })
      const { error } = (await response.json()) as { error: { code: string; message: string } }
      return { status: response.status, code: error.code, message: error.message }
    }
    const body = (fields: object): string =>
      JSON.stringify({ model: 'sotu', prompt: 'Hi', max_tokens: 4, ...fields })
    const forged = { payer: alice.address, cumulative: '1', signature: `0x${'11'.repeat(65)}` }
    const header = {
      'x-openledger-payment': Buffer.from(JSON.stringify(forged)).toString('base64'),
    }
    t.match(await post('{'), { status: 400, code: 'body' })
    t.match(await post(body({ model: 'nobody' })), {
      status: 404,
      message: /no model 'nobody' is registered/,
    })
    t.match(await post(body({ max_tokens: 0 })), { status: 400, message: /'max_tokens' is 0/ })
    t.match(
      await post(body({ prompt: 'word '.repeat(600) })),
      { status: 402, code: 'payment-required' },
      'the sponsor is not funded',
    )
    t.match(await post(body({ prompt: 'word '.repeat(2_000) }), header), { status: 402 })
    t.match(await post(body({}), header), { status: 402, message: /not by its payer/ })
    t.match(await post(body({}), { 'x-openledger-payment': '???' }), {
      status: 400,
      code: 'payment',
    })
    t.equal(await count(), before)
  })

  await t.test(
    'clients of MCP and A2A ask the trained model, and are given its receipts',
    async (t) => {
      // The caller is on the node's machine: the sponsor pays.
      await alice.send({
        address: OPENLEDGER.inferenceEscrow,
        abi: InferenceEscrow.abi as Abi,
        functionName: 'depositFor',
        args: [devnetAccount('sponsor').address],
        value: parseEther('1'),
      })
      const question = { prompt: QUESTION.prompt, max_tokens: 8, temperature: 0, seed: 1 }
      const mcp = new McpClient({ name: 'judge', version: '1.0.0' })
      await mcp.connect(new StreamableHTTPClientTransport(new URL(`${sequencerUrl}/mcp`)))
      t.teardown(() => mcp.close())
      const answer = (await mcp.callTool({
        name: `ask_${QUESTION.model}`,
        arguments: question,
      })) as unknown as {
        content: { text: string }[]
        _meta: { 'openledger/receipt': { receiptHash: string } }
      }
      t.match(answer.content[0]?.text, /[a-z]/)
      const { receiptHash } = answer._meta['openledger/receipt']
      t.match(await verdictOn(receiptHash), { ok: true })
      const named = await mcp.callTool({
        name: 'get_attribution',
        arguments: { receipt: receiptHash },
      })
      const owner = (await rpc<ReceiptView>('openledger_getReceipt', receiptHash)).contributors[0]
      t.match(JSON.stringify(named.content), owner?.account ?? 'nobody is paid')

      const a2a = await new ClientFactory().createFromUrl(sequencerUrl)
      const skill = `model:${(await rpc<ReceiptView>('openledger_getReceipt', receiptHash)).modelId}`
      const content = { $case: 'text', value: QUESTION.prompt }
      const message = { messageId: crypto.randomUUID(), role: 1, parts: [{ content }] }
      const reply = (await a2a.sendMessage({
        message: { ...message, extensions: [], referenceTaskIds: [], metadata: { skill } },
      } as never)) as unknown as { metadata: { receipts: { receiptHash: string }[] } }
      const [given] = reply.metadata.receipts
      t.match(await verdictOn(given?.receiptHash ?? ''), { ok: true })
    },
  )

  await t.test('a job is committed, paused and cancelled from the command line', async (t) => {
    const env = { ...process.env, OPENLEDGER_KEY: devnetAccount('bob').privateKey }
    const program = join(import.meta.dirname, '../../scripts/openledger.mjs')
    const job = async (...line: string[]): Promise<string> => {
      const args = [program, 'job', ...line, '--url', sequencerUrl]
      return (await run(process.execPath, args, { env })).stdout.trim()
    }
    const id = await job('submit', '--detach', '--datanets', '1:1', '--epochs', '200')
    t.match(id, /^0x[0-9a-f]{64}$/)
    t.match(await job('pause', id), /^0x\S+ +(running|paused|queued) /)
    t.match(await job('cancel', id), /^0x\S+ +(running|paused|cancelled) /)
    await until('the end', async () => / cancelled /.test(await job('show', id)))
    const view = JSON.parse(await job('show', id, '--json'))
    t.match(view, { state: 'cancelled', finishedAt: /^20/ })
    t.match(await job('list'), new RegExp(`${id} +cancelled`))
    await t.rejects(job('list', '--limit', '0'), /--limit is '0'; it must be a whole number/)
    await t.rejects(job('estimate', '--datanets', 'x'), /--datanets has 'x'; it must be ID/)
  })

  await t.test('a killed validator comes back and catches up', async (t) => {
    await live.nodes.validator.kill()
    const { receipt } = await askAlice()
    live.nodes = { ...live.nodes, validator: await restartRole('validator', live.dir) }
    t.match(await verdictOn(receipt.receiptHash), { ok: true })
    const head = await until('the catch-up', async () => {
      const number = Number(await validatorRpc()<string>('eth_blockNumber'))
      return number >= receipt.block.number && number
    })
    const tag = `0x${head.toString(16)}`
    const [ours, theirs] = await Promise.all(
      [rpc, validatorRpc()].map((call) =>
        call<{ hash: string }>('eth_getBlockByNumber', tag, false),
      ),
    )
    t.equal(ours?.hash, theirs?.hash)
  })

  await t.test('a sequencer killed under load loses no receipt it has shown', async (t) => {
    const carol = live.wallet('carol')
    const writer = createWalletClient({ account: carol.signer, transport: http(sequencerUrl) })
    const shown = new Map<string, string>()
    const load = (async () => {
      for (let i = 0; i < 400; i++) {
        const hash = await writer
          .sendTransaction({
            to: alice.address,
            value: 1n,
            chain: null,
            gas: 21_000n,
            maxFeePerGas: 10n ** 10n,
            maxPriorityFeePerGas: 1n,
            type: 'eip1559',
          })
          .catch(() => null)
        if (!hash) return
      }
    })()
    const watch = (async () => {
      for (let number = Number(await rpc<string>('eth_blockNumber')); shown.size < 60; ) {
        const block = await rpc<{ transactions: string[] } | null>(
          'eth_getBlockByNumber',
          `0x${number.toString(16)}`,
          false,
        )
        for (const hash of block?.transactions.slice(1) ?? []) {
          const receipt = await rpc<{ blockHash: string } | null>('eth_getTransactionReceipt', hash)
          if (receipt) shown.set(hash, receipt.blockHash)
        }
        if (block) number++
        else await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    await watch
    await live.nodes.sequencer.kill()
    await load
    live.nodes = { ...live.nodes, sequencer: await restartRole('sequencer', live.dir) }
    for (const [hash, blockHash] of shown) {
      const receipt = await rpc<{ blockHash: string } | null>('eth_getTransactionReceipt', hash)
      if (receipt?.blockHash !== blockHash)
        t.fail(`${hash} was in ${blockHash}, now ${receipt?.blockHash}`)
    }
    t.ok(shown.size >= 60, `${shown.size} shown receipts are where they were`)
    const head = Number(await rpc<string>('eth_blockNumber'))
    await until('the next block', async () => Number(await rpc<string>('eth_blockNumber')) > head)
    const { receipt } = await askAlice()
    t.match(await verdictOn(receipt.receiptHash), { ok: true }, 'and the economy goes on')
  })

  await t.test(
    'an altered adapter is not served; served against the rules, it is refuted by name',
    async (t) => {
      const adapters = join(live.dir, 'sequencer/data/adapters')
      const folder = join(
        adapters,
        readdirSync(adapters).find((name) => /^[0-9a-f]{64}$/.test(name)) as string,
      )
      const file = join(folder, 'adapter_model.safetensors')
      const restart = async (verifyArtefacts: boolean): Promise<void> => {
        await live.nodes.sequencer.stop()
        flipByte(file)
        const path = join(live.dir, 'sequencer/config.json')
        const config = JSON.parse(readFileSync(path, 'utf8'))
        writeFileSync(path, JSON.stringify({ ...config, verifyArtefacts }))
        live.nodes = { ...live.nodes, sequencer: await restartRole('sequencer', live.dir) }
      }
      await restart(true)
      const honest = await askAlice()
      t.match(
        await verdictOn(honest.receipt.receiptHash),
        { ok: true },
        'an honest node lays out the true one again',
      )

      await restart(false)
      const { receipt } = await askAlice()
      const verdict = await verdictOn(receipt.receiptHash)
      t.equal(verdict.ok, false)
      t.match(
        verdict.difference,
        { stage: 'trace', field: 'logits', index: 0 },
        'the first difference is named',
      )
    },
  )
})

/** Runs a block of README.md as somebody would who saved it in the checkout. What it printed. */
async function runReadme(name: string, env: Record<string, string>): Promise<string> {
  const root = join(import.meta.dirname, '../..')
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const [, script] = readme.match(new RegExp(`^\`\`\`ts ${name}\\n(.*?)^\`\`\`$`, 'ms')) ?? []
  if (!script) throw new Error(`README.md has no block '${name}'`)
  const lines = script.trimEnd().split('\n')
  const widest = Math.max(...lines.map(({ length }) => length))
  if (lines.length > SCRIPT_LINES_MAX || widest > SCRIPT_WIDTH_MAX)
    throw new Error(`'${name}' has ${lines.length} lines of up to ${widest} characters`)
  const node = run(process.execPath, ['--input-type=module-typescript', '-'], {
    cwd: root,
    env: { ...process.env, ...env, NODE_OPTIONS: '' },
  })
  node.child.stdin?.end(script)
  return (await node).stdout
}

/** Changes a weight's sign: one bit of one byte, the last of the file. */
function flipByte(path: string): void {
  const bytes = readFileSync(path)
  const at = bytes.length - 1
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x80, at)
  writeFileSync(path, bytes)
}
