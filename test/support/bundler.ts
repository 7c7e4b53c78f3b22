/** An ERC-4337 bundler for tests: what viem's clients ask for, over the economy's own chain and the real EntryPoint. */
import {
  type Chain,
  type Client,
  type CustomTransport,
  createClient,
  custom,
  decodeErrorResult,
  encodeFunctionData,
  hexToBigInt,
  numberToHex,
} from 'viem'
import {
  entryPoint08Abi,
  entryPoint08Address,
  toPackedUserOperation,
} from 'viem/account-abstraction'
import { fromHex, type Hex, toHex } from '../../node/base/bytes.ts'
import { type Contract, type Economy, operator } from './economy.ts'

export const entryPoint: Contract = { address: entryPoint08Address, abi: entryPoint08Abi }
type Fields = Record<string, Hex>

const NUMBERS = [
  'nonce',
  'callGasLimit',
  'verificationGasLimit',
  'preVerificationGas',
  'maxFeePerGas',
  'maxPriorityFeePerGas',
  'paymasterVerificationGasLimit',
  'paymasterPostOpGasLimit',
]

/** Each operation is a bundle and a block of its own. */
export class Bundler {
  readonly transport: CustomTransport
  readonly client: Client<CustomTransport, Chain, undefined>
  /** wei that the last operation took from its paymaster's deposit. */
  cost = 0n
  readonly #world: Economy

  constructor(world: Economy) {
    this.#world = world
    const { l2ChainId: id } = world.chain.config
    const request = async ({ method, params }: { method: string; params?: unknown }) =>
      this.#answer(method, params as unknown[])
    this.transport = custom({ request })
    const chain = {
      id,
      name: 'test',
      nativeCurrency: { name: 'OPEN', symbol: 'OPEN', decimals: 18 },
      rpcUrls: { default: { http: [] } },
    }
    this.client = createClient({ chain, transport: this.transport })
  }

  async #answer(method: string, params: readonly unknown[]): Promise<unknown> {
    const { chain } = this.#world
    if (method === 'eth_chainId') return numberToHex(chain.config.l2ChainId)
    if (method === 'eth_getCode') return toHex(chain.stateAt('unsafe').code(params[0] as Hex))
    if (method === 'eth_call') {
      const { to, data } = params[0] as { to: Hex; data: Hex }
      const { returnData, error } = await chain.stateAt('unsafe').call({ to, data: fromHex(data) })
      if (error) throw new Error(toHex(returnData))
      return toHex(returnData)
    }
    if (method === 'eth_sendUserOperation') return this.#bundle(params[0] as Fields)
    throw new Error(`no ${method} here`)
  }

  async #bundle(fields: Fields): Promise<Hex> {
    const op = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name,
        NUMBERS.includes(name) ? hexToBigInt(value) : value,
      ]),
    )
    const packed = toPackedUserOperation(op as never)
    const args = [[packed], operator.address] as const
    const data = encodeFunctionData({ abi: entryPoint08Abi, functionName: 'handleOps', args })
    const call = { from: operator.address, to: entryPoint.address, data: fromHex(data) }
    const { returnData, error } = await this.#world.chain.stateAt('unsafe').call(call)
    if (error) throw new Error(refusalOf(toHex(returnData)))
    const before = await this.#deposit(packed.paymasterAndData)
    await this.#world.send(operator, entryPoint, 'handleOps', args)
    this.cost = before - (await this.#deposit(packed.paymasterAndData))
    return this.#world.read<Hex>(entryPoint, 'getUserOpHash', [packed])
  }

  #deposit(paymasterAndData: Hex): Promise<bigint> {
    return this.#world.read(entryPoint, 'balanceOf', [paymasterAndData.slice(0, 42)])
  }
}

function refusalOf(output: Hex): string {
  const { errorName, args } = decodeErrorResult({ abi: entryPoint08Abi, data: output })
  return `${errorName}: ${(args ?? []).join(' ')}`
}
