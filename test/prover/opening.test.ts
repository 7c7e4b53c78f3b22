/** Wrong passes, asked of their provider operator by operator: what is named, and what a provider gains by lying again. */
import t from 'tap'
import { encodeChainConfig } from '../../genesis/chain.ts'
import { generate, Model, NativeError } from '../../native/index.ts'
import {
  encodeOperators,
  type OpeningQuestion,
  openingPreimage,
} from '../../node/attribution/opening.ts'
import { decodeRequest, decodeTokens } from '../../node/attribution/request.ts'
import type { SettledReceipt } from '../../node/attribution/settled.ts'
import { concatBytes, type Hex, toHex } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { merkleRoot } from '../../node/base/merkle.ts'
import { localSigner } from '../../node/keys/signer.ts'
import type { LoadedModel } from '../../node/model/infer.ts'
import { Openings } from '../../node/model/openings.ts'
import { passOf } from '../../node/model/pass.ts'
import type { ModelRecord } from '../../node/model/registry.ts'
import type { RpcContext } from '../../node/rpc/context.ts'
import { openingMethods } from '../../node/rpc/methods/openings.ts'
import type { Difference } from '../../prover/compare.ts'
import { explainDifference } from '../../prover/explain.ts'
import { type OpeningSource, patientSources } from '../../prover/opening.ts'
import { reinfer } from '../../prover/reinfer.ts'
import { openingsBy } from '../../scripts/attribution/remote.ts'
import { type LookModules, lookAt, reportLines } from '../../scripts/attribution/verify.ts'
import type { Rpc } from '../../scripts/cli/rpc.ts'
import { startNode } from '../node/p2p/support.ts'
import { CHANGED, changedBase } from '../support/changed-base.ts'
import { carol, provider } from '../support/economy.ts'
import { openWorld } from '../support/factory.ts'
import { openMarket, sell } from '../support/market.ts'
import { ResultCheck } from '../support/result-check.ts'

const { layer: LAYER, column: COLUMN } = CHANGED

t.test('a wrong weight is named by layer, operator, tile, row and both values', async (t) => {
  const world = await openWorld(t)
  const market = await openMarket(t, world)
  const { engine } = market.library
  const record = (await market.registry.model(market.model)) as ModelRecord
  const honest = await market.library.load(record)
  const base = await Model.load(changedBase(world.dir))
  engine.generate = (request) => generate(base, honest.adapter, request)
  const { settled } = await market.ask('Fellow citizens, the harvest', 6)

  const { library, registry } = await sell(t, world, market.job)
  const chainId = world.economy.chain.config.l2ChainId
  const asked: OpeningQuestion[] = []
  /** The provider's node, by what it computes with; `shows` may change what it says. */
  const ledger = { settled: async () => {}, get: async () => settled }
  const common = { config: world.economy.chain.config, registry, ledger, content: world.content }
  const nodeOf = (model: LoadedModel): Openings =>
    new Openings({
      ...common,
      signers: { provider: localSigner(provider.key) },
      library: { load: async () => model },
      p2p: { askOpening: () => Promise.reject(new Error('it is asked itself')) },
    })
  const openings = (
    model: LoadedModel,
    shows: (answer: Uint8Array, question: OpeningQuestion) => Uint8Array | null = (one) => one,
  ): OpeningSource => {
    const node = nodeOf(model)
    return {
      chainId,
      ask: async (question, accepts) => {
        asked.push(question)
        const answer = shows(await node.ask(question, accepts), question)
        return answer && accepts(answer) ? answer : null
      },
    }
  }
  const verdict = async (
    source?: OpeningSource,
    traceOf: (hash: Hex) => Promise<Hex | null> = async (hash) => market.traces.get(hash) ?? null,
    of: SettledReceipt = settled,
  ): Promise<Difference> => {
    asked.length = 0
    const content = (hash: Hex): Promise<Uint8Array> => world.content.get(hash)
    const result = await reinfer(of, { library, registry, content, traceOf, openings: source })
    const difference = 'stage' in result ? result : result.difference
    if (!difference) throw new Error('nothing differs')
    return difference
  }
  const lying = { ...honest, base }
  const read = (hash: Hex): Promise<Uint8Array> => world.content.get(hash)
  const claimed = async () => ({
    prompt: decodeRequest(await read(settled.receipt.requestId)).prompt,
    answer: decodeTokens(await read(settled.receipt.outputCommit)),
  })
  const theirLeaves = async (): Promise<Uint8Array[]> => {
    const bytes = await read(market.traces.get(settled.hash) as Hex)
    return Array.from({ length: bytes.length / 32 }, (_, i) => bytes.slice(32 * i, 32 * i + 32))
  }
  const prompt = (await claimed()).prompt.length

  await t.test('the provider answers', async (t) => {
    const difference = await verdict(openings(lying))
    t.match(difference, {
      stage: 'trace',
      field: 'logits',
      index: 0,
      at: { layer: LAYER, operator: 'down_proj', tile: 1, row: 0, column: COLUMN },
    })
    t.not(Number(difference.claimed), Number(difference.found))
    t.ok(Number.isFinite(Number(difference.claimed)) && Number.isFinite(Number(difference.found)))
    t.same(asked, [
      { receipt: settled.hash },
      { receipt: settled.hash, operator: 1 + 15 * LAYER + 13 },
      { receipt: settled.hash, operator: 1 + 15 * LAYER + 13, tile: 1 },
    ])
    t.match(explainDifference(difference), {
      operator: 'layer 1, down_proj',
      tile: /^tile 1; token 0 of the answer/,
      row: 'row 0, column 70',
      expected: difference.found,
      found: difference.claimed,
    })
    t.match(
      await verdict(openings(lying), async () => null),
      { stage: 'trace', at: difference.at },
      'without the leaves too',
    )
  })

  await t.test('it answers over libp2p, among peers that cannot', async (t) => {
    const asker = await startNode(t)
    const honestPeer = nodeOf(honest)
    const peers = [
      await startNode(t),
      await startNode(t, { openings: async () => undefined }),
      await startNode(t, {
        // Of another model: not what the receipt's provider signed to have computed.
        openings: async ({ depth, ...question }, gone) =>
          honestPeer.answerPeer({ ...question, depth: Math.max(1, depth) }, gone),
      }),
      await startNode(t, { openings: nodeOf(lying).answerPeer }),
    ]
    for (const peer of peers) await asker.connect(peer.multiaddrs()[0] as string)
    const validator = new Openings({
      ...common,
      signers: { provider: null },
      library,
      p2p: asker,
    })
    const { signal } = new AbortController()
    const source = patientSources(validator, { chainId, signal, log: silentLog })(provider.address)
    t.match(await verdict(source), { at: { layer: LAYER, operator: 'down_proj', column: COLUMN } })
    const other = { receipt: `0x${'11'.repeat(32)}` as const }
    const lost = new Openings({
      ...common,
      ledger: { ...ledger, get: async () => null },
      signers: { provider: null },
      library,
      p2p: asker,
    })
    await t.rejects(
      lost.ask(other, () => true),
      { code: 'receipt-unknown' },
    )
    await t.rejects(
      validator.ask({ receipt: settled.hash }, () => false),
      {
        code: 'opening-unavailable',
      },
    )
  })

  await t.test('by hand, through a node: explained line by line', async (t) => {
    const methods = openingMethods(nodeOf(lying))
    const results = new ResultCheck(methods)
    const rpc = async (name: string, ...args: unknown[]): Promise<unknown> => {
      if (name === 'openledger_chainConfig')
        return JSON.parse(encodeChainConfig(world.economy.chain.config))
      const result = await methods[name]?.handler({} as RpcContext, args, null)
      t.equal(results.fault(name, result), null)
      return result
    }
    const source = await openingsBy(rpc as Rpc)
    const modules = { library, registry, content: read, traceOf: async () => null }
    const looked = await lookAt(
      settled,
      { ...modules, openings: source } as unknown as LookModules,
      { withTable: false, refuted: null },
    )
    const lines = reportLines(looked).join('\n')
    t.match(lines, /differs +answer/)
    t.match(lines, /operator +layer 1, down_proj\n +tile +tile 1\n +row +row 0, column 70/)
  })

  await t.test('it shows the pass of the true model instead', async (t) => {
    const difference = await verdict(openings(honest))
    t.match(difference, { stage: 'trace', field: 'opening', found: settled.receipt.traceRoot })
    t.notOk(difference.at)
    t.match(explainDifference(difference).tile, /the end is not the trace/)
    t.equal(asked.length, 1)
  })

  await t.test('it answers nothing, or in the name of another', async (t) => {
    const unasked = await verdict()
    t.match(unasked, { stage: 'trace', field: 'logits', index: 0 })
    t.notOk(unasked.at)
    t.same(await verdict(openings(lying, () => null)), unasked)
    const forged = openings(lying, (answer) => answer.with(70, (answer[70] as number) ^ 1))
    t.same(await verdict(forged), unasked)
  })

  await t.test(
    'it is silent: the wrong receipts behind the first do not wait for it',
    async (t) => {
      const unasked = await verdict()
      let now = 0
      let questions = 0
      const silent = {
        ask: async () => {
          questions++
          throw new Error('nobody answers')
        },
      }
      const { signal } = new AbortController()
      const options = { chainId, signal, log: silentLog, now: () => now, retryMs: 0 }
      const sources = patientSources(silent, options)
      t.same(await verdict(sources(provider.address)), unasked)
      t.equal(questions, 3)
      t.same(await verdict(sources(provider.address)), unasked)
      t.equal(questions, 3)
      await sources(carol.address).ask({ receipt: settled.hash }, () => true)
      t.equal(questions, 6, 'another provider is asked')
      now = 600_000
      t.same(await verdict(sources(provider.address)), unasked)
      t.equal(questions, 9, 'and it is, later')
    },
  )

  await t.test('a pass that cannot be made again takes nothing from the verdict', async (t) => {
    const source = openings(lying)
    const failing: OpeningSource = {
      chainId,
      ask: () => Promise.reject(new NativeError('NATIVE_BAD_INPUT', 'too much')),
    }
    t.same(await verdict(failing), await verdict())
    t.ok((await verdict(source)).at)
  })

  await t.test('it puts the committed end behind the operators of the true model', async (t) => {
    const signer = localSigner(provider.key)
    const lies = openings(honest, () => null)
    const source: OpeningSource = {
      chainId,
      ask: async ({ operator, tile, receipt }, accepts) => {
        asked.push({ receipt, ...(operator !== undefined && { operator }) })
        const { prompt, answer } = await claimed()
        const pass = passOf(honest, prompt, answer)
        if (!pass || tile !== undefined) return lies.ask({ receipt }, accepts)
        const end = (await theirLeaves()).slice()
        if (operator !== undefined) return concatBytes(...end)
        const roots = (await pass.operators()).slice(0, -1)
        roots.push(merkleRoot(end))
        const signature = await signer.sign('envelope', openingPreimage(chainId, receipt, roots))
        return encodeOperators(signature, roots)
      },
    }
    const difference = await verdict(source)
    t.match(difference, { at: { layer: null, operator: 'leaves', tile: 0, row: prompt } })
    t.match(difference, { claimed: toHex((await theirLeaves())[0] as Uint8Array) })
    t.equal(asked.length, 2)
  })

  await t.test('it stops in the middle: what it showed is named', async (t) => {
    const rest = openings(lying, (answer, { operator }) => (operator === undefined ? answer : null))
    const { at } = await verdict(rest)
    t.same(at, { layer: LAYER, operator: 'down_proj' })
    const tiles = openings(lying, (answer, { tile }) => (tile === undefined ? answer : null))
    t.same((await verdict(tiles)).at, { layer: LAYER, operator: 'down_proj', tile: 1 })
  })
})
