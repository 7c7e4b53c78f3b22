/**
 * What a person does to contracts: tried first by a call, so that a refusal is read before anything is signed; signed; sent;
 * waited for. Every error comes out as a sentence. This module brings viem: import it when it is needed.
 *
 *   const { writeContract, waitFor } = await import('../wallet/send.ts')
 */
import {
  type Abi,
  BaseError,
  ContractFunctionRevertedError,
  type Hex,
  InsufficientFundsError,
  type TransactionReceipt,
  UserRejectedRequestError,
} from 'viem'
import { signMessage, signTypedData, simulateContract } from 'viem/actions'
import { exactOpen } from '../lib/format.ts'
import { type ChainName, publicL1, publicL2, signer } from './clients.ts'

export type ContractCall = {
  /** L2 unless told otherwise. */
  readonly chain?: ChainName
  readonly address: Hex
  readonly abi: Abi | readonly unknown[]
  readonly functionName: string
  readonly args?: readonly unknown[]
  /** wei sent along. */
  readonly value?: bigint
}

const reader = (chain: ChainName) => (chain === 'l1' ? publicL1() : publicL2())

/** The hash, once the node has the transaction. @throws Error in words for people */
export async function writeContract({ chain = 'l2', ...call }: ContractCall): Promise<Hex> {
  try {
    const [from, to] = await Promise.all([signer(chain), reader(chain)])
    const { request } = await simulateContract(
      to as never,
      {
        ...call,
        account: from.account,
      } as never,
    )
    return await from.writeContract({ ...(request as object), chain: from.chain } as never)
  } catch (error) {
    throw explained(error)
  }
}

/** OPEN to an account, by a plain transfer. The hash. @throws Error in words for people */
export async function sendOpen(to: Hex, value: bigint): Promise<Hex> {
  try {
    const from = await signer('l2')
    return await from.sendTransaction({ to, value, chain: from.chain } as never)
  } catch (error) {
    throw explained(error)
  }
}

/** The receipt. @throws Error when the transaction reverted */
export async function waitFor(hash: Hex, chain: ChainName = 'l2'): Promise<TransactionReceipt> {
  const receipt = await (await reader(chain)).waitForTransactionReceipt({ hash })
  if (receipt.status !== 'success') throw new Error(`Transaction ${hash} was mined and reverted.`)
  return receipt
}

/** EIP-712. `data`: domain, types, primaryType, message. */
export async function signTyped(data: {
  domain: Record<string, unknown>
  types: Record<string, readonly { name: string; type: string }[]>
  primaryType: string
  message: Record<string, unknown>
}): Promise<Hex> {
  try {
    return await signTypedData((await signer('l2')) as never, data as never)
  } catch (error) {
    throw explained(error)
  }
}

/** A text, as wallets show it (EIP-191). */
export async function signText(message: string): Promise<Hex> {
  try {
    return await signMessage((await signer('l2')) as never, { message } as never)
  } catch (error) {
    throw explained(error)
  }
}

/** Reads one function of a contract. */
export async function readContract<T>({
  chain = 'l2',
  ...call
}: Omit<ContractCall, 'value'>): Promise<T> {
  return (await (await reader(chain)).readContract(call as never)) as T
}

const DECLINED = 4001

/** The cause of whatever viem or a wallet threw, in a sentence. */
export function explained(error: unknown): Error {
  if ((error as { code?: number } | null)?.code === DECLINED)
    return new Error('You declined in the wallet.')
  if (!(error instanceof BaseError))
    return error instanceof Error ? error : new Error(String(error))
  if (error.walk((one) => one instanceof UserRejectedRequestError)) {
    return new Error('You declined in the wallet.')
  }
  const reverted = error.walk((one) => one instanceof ContractFunctionRevertedError)
  if (reverted instanceof ContractFunctionRevertedError) {
    const { data, reason } = reverted
    if (data?.errorName && data.errorName !== 'Error') {
      const args = (data.args ?? []).map((value) =>
        typeof value === 'bigint' && value > 10n ** 12n
          ? `${exactOpen(value)} (${value})`
          : String(value),
      )
      return new Error(
        `The contract refuses: ${words(data.errorName)}${args.length ? ` (${args.join(', ')})` : ''}.`,
      )
    }
    return new Error(`The contract refuses: ${reason ?? reverted.shortMessage}`)
  }
  if (error.walk((one) => one instanceof InsufficientFundsError)) {
    return new Error('The account has too little for the amount and the fee of the transaction.')
  }
  return new Error(error.shortMessage)
}

/** `EpochNotOver` -> `epoch not over`. */
const words = (name: string): string => name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase()
