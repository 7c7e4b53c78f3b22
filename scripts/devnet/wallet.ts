/**
 * A person's side of the L2 in the devnet script: an account that sends transactions, several at once
 * when they do not depend on each other, and waits for their receipts.
 */
import {
  type Abi,
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  http,
  type LocalAccount,
  type PublicClient,
  type TransactionReceipt,
} from 'viem'
import { nonceManager, privateKeyToAccount } from 'viem/accounts'
import { userError } from '../../node/base/errors.ts'
import type { Account } from './accounts.ts'

export type Call = {
  readonly address: `0x${string}`
  readonly abi: Abi
  readonly functionName: string
  readonly args: readonly unknown[]
  readonly value?: bigint
}

const POLL_MS = 150
const RECEIPT_TIMEOUT_MS = 60_000

export type Wallet = {
  readonly address: `0x${string}`
  readonly reader: PublicClient
  readonly signer: LocalAccount
  /** Simulates first, so that a refusal comes with its reason. */
  send(call: Call): Promise<TransactionReceipt>
  /** Sends all, then waits for all; the calls must not depend on each other. */
  sendAll(calls: readonly Call[], onDone?: (done: number) => void): Promise<TransactionReceipt[]>
  read<T>(call: Omit<Call, 'value'>): Promise<T>
}

/** @param chainId of the chain behind `rpc`. */
export function createWallet(
  account: Pick<Account, 'privateKey'>,
  options: { rpc: string; chainId: number },
): Wallet {
  const chain = defineChain({
    id: options.chainId,
    name: 'OpenLedger devnet',
    nativeCurrency: { name: 'OPEN', symbol: 'OPEN', decimals: 18 },
    rpcUrls: { default: { http: [options.rpc] } },
  })
  const transport = http(options.rpc)
  const signer = privateKeyToAccount(account.privateKey, { nonceManager })
  const reader = createPublicClient({ chain, transport, pollingInterval: POLL_MS })
  const writer = createWalletClient({ chain, transport, account: signer })

  async function confirmed(hash: `0x${string}`, what: string): Promise<TransactionReceipt> {
    const receipt = await reader.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS })
    if (receipt.status === 'success') return receipt
    throw userError('reverted', `${what} reverted in transaction ${hash}`)
  }

  return {
    address: signer.address.toLowerCase() as `0x${string}`,
    reader,
    signer,

    async send(call: Call): Promise<TransactionReceipt> {
      const { request } = await reader
        .simulateContract({ ...call, account: signer } as never)
        .catch((error) => {
          throw refusal(call, error)
        })
      return confirmed(await writer.writeContract(request as never), call.functionName)
    },

    /** Sends all, then waits for all; the calls must not depend on each other. */
    async sendAll(calls, onDone = () => {}) {
      const hashes: `0x${string}`[] = []
      for (const call of calls) hashes.push(await writer.writeContract({ ...call } as never))
      let done = 0
      return Promise.all(
        hashes.map(async (hash, i) => {
          const receipt = await confirmed(hash, calls[i]?.functionName ?? 'call')
          onDone(++done)
          return receipt
        }),
      )
    },

    read<T>(call: Omit<Call, 'value'>): Promise<T> {
      return reader.readContract(call as never) as Promise<T>
    },
  }
}

/** A contract's refusal in its own words, on one line. */
function refusal({ functionName }: Call, error: unknown): unknown {
  const reverted =
    error instanceof BaseError
      ? error.walk((cause) => cause instanceof ContractFunctionRevertedError)
      : null
  if (!(reverted instanceof ContractFunctionRevertedError) || !reverted.data) return error
  const { errorName, args = [] } = reverted.data
  return userError('refused', `${functionName} is refused: ${errorName}(${args.join(', ')})`)
}
