/**
 * The one bridge action viem does not have: locking OPEN, an ERC-20 on L1, and minting it on L2 (the OP
 * Stack's custom gas token). It has the shape of viem's own `depositTransaction` and takes the same request,
 * so `getL2TransactionHashes(receipt)` and all other actions go on from its receipt.
 *
 *   const hash = await depositERC20Transaction(walletL1, {
 *     request: { to, mint: parseEther('5'), value: parseEther('5'), gas: 100_000n },
 *     targetChain: openLedger,
 *   })
 */
import {
  type Account,
  type Address,
  type Chain,
  type Client,
  erc20Abi,
  type Hash,
  type Hex,
  type Transport,
} from 'viem'
import { readContract, waitForTransactionReceipt, writeContract } from 'viem/actions'
import { Portal } from '../../genesis/contracts.generated.ts'
import type { OpenLedgerChain } from './chain.ts'

export type DepositERC20TransactionParameters = {
  readonly request: {
    /** wei of OPEN to lock on L1 and mint to the sender on L2. */
    readonly mint: bigint
    /** wei of OPEN sent along on L2; `mint` unless named. */
    readonly value?: bigint
    /** Gas limit on L2. */
    readonly gas: bigint
    readonly data?: Hex
  } & ({ readonly to: Address; readonly isCreation?: false } | { readonly isCreation: true })
  readonly targetChain: OpenLedgerChain
  readonly portalAddress?: Address
}

/** Approves what the allowance lacks, then deposits. @returns hash of the deposit on L1 */
export async function depositERC20Transaction(
  client: Client<Transport, Chain, Account>,
  { request, targetChain, portalAddress }: DepositERC20TransactionParameters,
): Promise<Hash> {
  const { mint, value = mint, gas, data = '0x' } = request
  const { account, chain } = client
  const portal = portalAddress ?? targetChain.contracts.portal[chain.id]?.address
  if (!portal) throw new Error(`chain ${targetChain.id} has no portal on chain ${chain.id}`)
  const at = { address: portal, abi: Portal.abi } as const
  const [token] = await readContract(client, { ...at, functionName: 'gasPayingToken' })
  const erc20 = { address: token, abi: erc20Abi } as const
  const owner = account.address
  const allowed = await readContract(client, {
    ...erc20,
    functionName: 'allowance',
    args: [owner, portal],
  })
  if (allowed < mint) {
    const args = [portal, mint] as const
    const hash = await writeContract(client, {
      ...erc20,
      functionName: 'approve',
      args,
      account,
      chain,
    })
    await waitForTransactionReceipt(client, { hash })
  }
  const to = request.isCreation ? ZERO : request.to
  const args = [to, mint, value, gas, request.isCreation ?? false, data] as const
  return writeContract(client, {
    ...at,
    functionName: 'depositERC20Transaction',
    args,
    account,
    chain,
  })
}

const ZERO: Address = `0x${'00'.repeat(20)}`
