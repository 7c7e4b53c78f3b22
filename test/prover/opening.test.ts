/** Wrong passes, asked of their provider operator by operator: what is named, and what a provider gains by lying again. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { generate, Model } from '../../native/index.ts'
import {
  encodeOperators,
  type OpeningQuestion,
  openingPreimage,
} from '../../node/attribution/opening.ts'
import { decodeRequest, decodeTokens } from '../../node/attribution/request.ts'
import type { SettledReceipt } from '../../node/attribution/settled.ts'
import { concatBytes, type Hex, toHex } from '../../node/base/bytes.ts'
import { merkleRoot } from '../../node/base/merkle.ts'
import { localSigner } from '../../node/keys/signer.ts'
import type { LoadedModel } from '../../node/model/infer.ts'
import { Openings } from '../../node/model/openings.ts'
import { passOf } from '../../node/model/pass.ts'
import type { ModelRecord } from '../../node/model/registry.ts'
import type { Difference } from '../../prover/compare.ts'
import { explainDifference } from '../../prover/explain.ts'
import type { OpeningSource } from '../../prover/opening.ts'
import { reinfer } from '../../prover/reinfer.ts'
import { provider } from '../support/economy.ts'
import { BASE_DIR, openWorld } from '../support/factory.ts'
import { openMarket, sell } from '../support/market.ts'

const LAYER = 1
const WEIGHT = `model.layers.${LAYER}.mlp.down_proj.weight`
/** Of the weight's rows: what it computes stands in this column. */
const ROW = 70

/** A copy of the embedded base in which one entry of one matrix is another. */
function changedBase(dir: string): string {
  const target = join(dir, 'changed base')
  mkdirSync(target)
  cpSync(BASE_DIR, target, { recursive: true })
  const file = join(target, 'model.safetensors')
  const bytes = readFileSync(file)
  const headBytes = Number(bytes.readBigUInt64LE(0))
  const head = JSON.parse(bytes.toString('utf8', 8, 8 + headBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >
  const tensor = head[WEIGHT]
  if (tensor?.dtype !== 'F16') throw new Error(`${WEIGHT} is ${tensor?.dtype}`)
  const at = 8 + headBytes + tensor.data_offsets[0] + 2 * (ROW * (tensor.shape[1] as number) + 5)
  // Four in half precision.
  bytes.writeUInt16LE(0x4400, at)
  writeFileSync(file, bytes)
  return target
}

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
  const openings = (
    model: LoadedModel,
    shows: (answer: Uint8Array, question: OpeningQuestion) => Uint8Array | null = (one) => one,
  ): OpeningSource => {
    const node = new Openings({
      config: world.economy.chain.config,
      signers: { provider: localSigner(provider.key) },
      library: { load: async () => model },
      registry,
      ledger: { settled: async () => {}, get: async () => settled },
      content: world.content,
      p2p: { askOpening: () => Promise.reject(new Error('it is asked itself')) },
    })
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
      at: { layer: LAYER, operator: 'down_proj', tile: 1, row: 0, column: ROW },
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
