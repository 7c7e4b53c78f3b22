/**
 * An agent's account and OpenPaymaster as viem's account abstraction wants them:
 *
 *   const account = await toAgentAccount({ client, owner })
 *   const bundler = createBundlerClient({ account, client, transport, paymaster: gasBySponsor(7n) })
 *   await bundler.sendUserOperation({ calls: [{ to, value, data }] })
 *
 * The owner may call anything; a key (`key`) what it was allowed, within its caps. One call an operation.
 */
import {
  type Chain,
  type Client,
  encodeAbiParameters,
  encodeFunctionData,
  hashMessage,
  hashTypedData,
  type JsonRpcAccount,
  parseAbiParameters,
  type Transport,
  zeroHash,
} from 'viem'
import {
  entryPoint08Abi,
  entryPoint08Address,
  getUserOperationHash,
  type PaymasterActions,
  type SmartAccount,
  toSmartAccount,
} from 'viem/account-abstraction'
import type { LocalAccount } from 'viem/accounts'
import { readContract } from 'viem/actions'
import { parseErc6492Signature } from 'viem/utils'
import { OP, OPENLEDGER } from '../../genesis/addresses.ts'
import { AgentAccount, AgentAccounts } from '../../genesis/contracts.generated.ts'
import { bigintToBytes, type Hex, toHex } from '../../node/base/bytes.ts'

/** As EntryPoint asks for: what `postOp` of the paymaster may take, and its validation with an ERC-1271 signature. */
const POST_OP_GAS = 90_000n
const VERIFICATION_GAS = 250_000n
const DAY_SECONDS = 86_400
/** 65 bytes that recover to nobody in particular. */
const STUB: Hex = `0x${'11'.repeat(32)}${'22'.repeat(32)}1b`

/** @param input.key acts instead of the owner, within its caps */
export async function toAgentAccount(input: {
  client: Client<Transport, Chain | undefined, JsonRpcAccount | LocalAccount | undefined>
  owner: LocalAccount
  key?: LocalAccount
  salt?: Hex
}): Promise<SmartAccount> {
  const { client, owner, key, salt = zeroHash } = input
  const signer = key ?? owner
  const factory = { address: OPENLEDGER.agentAccounts, abi: AgentAccounts.abi } as const
  const address = await readContract(client, {
    ...factory,
    functionName: 'addressOf',
    args: [owner.address, salt],
  })
  const chainId = client.chain?.id as number
  /** What ERC-1271 of the account accepts: the owner's, over this account and no other. */
  const signHash = (hash: Hex): Promise<Hex> =>
    owner.signTypedData({
      domain: { name: 'OpenLedger', version: '1', chainId, verifyingContract: address },
      types: { AgentAccountMessage: [{ name: 'hash', type: 'bytes32' }] },
      primaryType: 'AgentAccountMessage',
      message: { hash },
    })
  return toSmartAccount({
    client,
    entryPoint: { abi: entryPoint08Abi, address: entryPoint08Address, version: '0.8' },
    getAddress: async () => address,
    getFactoryArgs: async () => ({
      factory: factory.address,
      factoryData: encodeFunctionData({
        ...factory,
        functionName: 'create',
        args: [owner.address, salt],
      }),
    }),
    encodeCalls: async ([call, ...more]) => {
      if (!call || more.length > 0) throw new Error('an agent account makes one call an operation')
      const { to, value = 0n, data = '0x' } = call
      const { abi } = AgentAccount
      return key
        ? encodeFunctionData({
            abi,
            functionName: 'executeFor',
            args: [key.address, to, value, data],
          })
        : encodeFunctionData({ abi, functionName: 'executeAsOwner', args: [to, value, data] })
    },
    getStubSignature: async () => STUB,
    signMessage: async ({ message }) => signHash(hashMessage(message)),
    signTypedData: async (data) =>
      signHash(hashTypedData(data as Parameters<typeof hashTypedData>[0])),
    signUserOperation: async ({ chainId: of = chainId, ...userOperation }) => {
      const hash = getUserOperationHash({
        chainId: of,
        entryPointAddress: entryPoint08Address,
        entryPointVersion: '0.8',
        userOperation: { ...userOperation, sender: address },
      })
      return (signer.sign as (parameters: { hash: Hex }) => Promise<Hex>)({ hash })
    },
  }) as Promise<SmartAccount>
}

type Paymaster = Pick<PaymasterActions, 'getPaymasterData' | 'getPaymasterStubData'>

/** Gas in PayableWOPEN, wei for wei; the account has approved the paymaster before. */
export function gasInTokens(): Paymaster {
  return paymasterWith(async () => '0x00')
}

/** The same without an allowance: EIP-3009, signed for each operation. @param valueWei the most that it may cost */
export function gasByAuthorization(account: SmartAccount, valueWei: bigint): Paymaster {
  return paymasterWith(async (chainId) => {
    const message = {
      from: account.address,
      to: OPENLEDGER.openPaymaster,
      value: valueWei,
      validAfter: 0n,
      validBefore: 2n ** 48n,
      nonce: toHex(crypto.getRandomValues(new Uint8Array(32))),
    } as const
    const wrapped = await account.signTypedData({
      domain: { name: 'Wrapped OPEN', version: '1', chainId, verifyingContract: OP.wopen },
      types: { ReceiveWithAuthorization: AUTHORIZATION },
      primaryType: 'ReceiveWithAuthorization',
      message,
    })
    // An account that this very operation creates stands by the time the signature is checked.
    const { signature } = parseErc6492Signature(wrapped)
    const { value, validAfter, validBefore, nonce } = message
    const args = encodeAbiParameters(AUTHORIZATION_ABI, [
      value,
      validAfter,
      validBefore,
      nonce,
      signature,
    ])
    return `0x00${args.slice(2)}`
  })
}

/** Gas by a sponsor, today (UTC). */
export function gasBySponsor(sponsorId: bigint, nowMs: () => number = Date.now): Paymaster {
  return paymasterWith(async () => {
    const day = Math.floor(nowMs() / 1_000 / DAY_SECONDS)
    const id = toHex(bigintToBytes(sponsorId, 32)).slice(2)
    return `0x01${id}${toHex(bigintToBytes(BigInt(day), 4)).slice(2)}`
  })
}

const AUTHORIZATION = [
  { name: 'from', type: 'address' },
  { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'validAfter', type: 'uint256' },
  { name: 'validBefore', type: 'uint256' },
  { name: 'nonce', type: 'bytes32' },
] as const
const AUTHORIZATION_ABI = parseAbiParameters('uint256, uint256, uint256, bytes32, bytes')

function paymasterWith(dataOf: (chainId: number) => Promise<Hex>): Paymaster {
  const answer = async ({ chainId }: { chainId: number }) => ({
    paymaster: OPENLEDGER.openPaymaster,
    paymasterData: await dataOf(chainId),
    paymasterVerificationGasLimit: VERIFICATION_GAS,
    paymasterPostOpGasLimit: POST_OP_GAS,
  })
  return {
    getPaymasterData: answer as Paymaster['getPaymasterData'],
    getPaymasterStubData: (async (parameters: { chainId: number }) => ({
      ...(await answer(parameters)),
      isFinal: true,
    })) as Paymaster['getPaymasterStubData'],
  }
}
