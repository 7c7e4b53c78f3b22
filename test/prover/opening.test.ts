/** Wrong passes, asked of their provider operator by operator: what is named, and what a provider gains by lying again. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { generate, Model } from '../../native/index.ts'
import type { OpeningQuestion } from '../../node/attribution/opening.ts'
import type { SettledReceipt } from '../../node/attribution/settled.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { localSigner } from '../../node/keys/signer.ts'
import type { LoadedModel } from '../../node/model/infer.ts'
import { Openings } from '../../node/model/openings.ts'
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
  const prompt = market.library.base.model.encode('Fellow citizens, the harvest').length

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
    t.match(await verdict(openings(lying), async () => null), { at: difference.at })
    t.equal(prompt > 0, true)
  })
})
