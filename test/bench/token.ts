/** An ERC-20 for the benchmarks: OpenToken (OpenZeppelin's ERC20 with permit), deployed by the first account. */
import { encodeDeployData, encodeFunctionData } from 'viem'
import { OpenToken } from '../../genesis/contracts.generated.ts'
import { fromHex, type Hex } from '../../node/base/bytes.ts'
import { createAddress } from '../../node/chain/execute-deposit.ts'
import { type Sender, settle, type TxPlan } from './load.ts'
import type { BenchClient } from './rpc-client.ts'

const CALL_GAS = 100_000n
const DEPLOY_GAS = 5_000_000n

/** The token's address, once every sender holds some. */
export async function deployToken(
  client: BenchClient,
  chainId: number,
  senders: readonly Sender[],
): Promise<Hex> {
  const [first, ...others] = senders as [Sender, ...Sender[]]
  const token = createAddress(first.account.address, first.nonce)
  const args = [first.account.address] as const
  const { abi, bytecode } = OpenToken
  const data = fromHex(encodeDeployData({ abi, bytecode: bytecode as Hex, args }))
  await settle(client, chainId, first, [{ to: null, value: 0n, data, gas: DEPLOY_GAS }])
  const shares = others.map(({ account }) => tokenTransfer(token, account.address, 10n ** 21n))
  await settle(client, chainId, first, shares)
  return token
}

export function tokenTransfer(token: Hex, to: Hex, amount: bigint): TxPlan {
  const args = [to, amount] as const
  const data = encodeFunctionData({ abi: OpenToken.abi, functionName: 'transfer', args })
  return { to: token, value: 0n, data: fromHex(data), gas: CALL_GAS }
}

export function balanceCall(holder: Hex): Hex {
  return encodeFunctionData({ abi: OpenToken.abi, functionName: 'balanceOf', args: [holder] })
}
