/**
 * Both ways over the bridge, by viem's op-stack actions: locking OPEN on L1 and seeing it minted here; a withdrawal through its
 * five states. Nothing is remembered in the browser: withdrawals are read from the chain, so another device or a reload goes on.
 */
import { erc20Abi, type TransactionReceipt } from 'viem'
import {
  getL2TransactionHashes,
  getWithdrawals,
  publicActionsL1,
  publicActionsL2,
  walletActionsL1,
  walletActionsL2,
} from 'viem/op-stack'
import { Portal } from '../../../../genesis/contracts.generated.ts'
import { l2ChainOf, publicL1, publicL2, signer } from '../wallet/clients.ts'
import { explained, writeContract } from '../wallet/send.ts'
import { chainConfig } from './chain-config.ts'
import type { Hex } from './types.ts'

/** Gas on L2 of a deposit that only brings OPEN. */
const DEPOSIT_GAS = 100_000n

type Tell = (text: string) => void

export type L1Funds = { readonly open: bigint; readonly ether: bigint }

/** What an account has on L1: OPEN to bring over, ether for its fees. */
export async function l1Funds(account: Hex): Promise<L1Funds> {
  const [{ l1Contracts }, l1] = await Promise.all([chainConfig(), publicL1()])
  const [open, ether] = await Promise.all([
    l1.readContract({
      address: l1Contracts.token as Hex,
      abi: erc20Abi,
      functionName: 'balanceOf',
      args: [account],
    }),
    l1.getBalance({ address: account }),
  ])
  return { open, ether }
}

/** Approves what the allowance lacks, locks, waits for the mint. The hash of the deposit on L2. */
export async function deposit(
  { amount, account, to }: { amount: bigint; account: Hex; to: Hex },
  tell: Tell,
): Promise<Hex> {
  const [{ l1Contracts, portal }, l1, l2] = await Promise.all([
    chainConfig(),
    publicL1(),
    publicL2(),
  ])
  const token = { address: l1Contracts.token as Hex, abi: erc20Abi } as const
  const allowed = await l1.readContract({
    ...token,
    functionName: 'allowance',
    args: [account, portal],
  })
  if (allowed < amount) {
    tell('1 of 3: allow the portal to take it…')
    const hash = await writeContract({
      chain: 'l1',
      ...token,
      functionName: 'approve',
      args: [portal, amount],
    })
    await l1.waitForTransactionReceipt({ hash })
  }
  tell('2 of 3: lock it on L1…')
  const hash = await writeContract({
    chain: 'l1',
    address: portal,
    abi: Portal.abi,
    functionName: 'depositERC20Transaction',
    args: [to, amount, amount, DEPOSIT_GAS, false, '0x'],
  })
  const receipt = await l1.waitForTransactionReceipt({ hash })
  const [l2Hash] = getL2TransactionHashes(receipt)
  if (receipt.status !== 'success' || !l2Hash) throw new Error(`The deposit ${hash} failed on L1.`)
  tell('3 of 3: waiting for it on OpenLedger…')
  await l2.waitForTransactionReceipt({ hash: l2Hash })
  return l2Hash
}

export type WithdrawalStatus =
  | 'waiting-to-prove'
  | 'ready-to-prove'
  | 'waiting-to-finalize'
  | 'ready-to-finalize'
  | 'finalized'

/** Burns here what L1 shall pay. The hash on L2. */
export async function withdraw({ amount, to }: { amount: bigint; to: Hex }): Promise<Hex> {
  try {
    const [from, l1, l2] = await Promise.all([signer('l2'), publicL1(), publicL2()])
    const request = await l1.extend(publicActionsL1()).buildInitiateWithdrawal({
      account: from.account,
      to,
      value: amount,
    })
    const hash = await from.extend(walletActionsL2()).initiateWithdrawal(request as never)
    const { status } = await l2.waitForTransactionReceipt({ hash })
    if (status !== 'success') throw new Error(`The withdrawal ${hash} was mined and reverted.`)
    return hash
  } catch (error) {
    throw explained(error)
  }
}

const receipts = new Map<Hex, TransactionReceipt>()

async function receiptOf(hash: Hex): Promise<TransactionReceipt> {
  const known = receipts.get(hash) ?? (await (await publicL2()).getTransactionReceipt({ hash }))
  receipts.set(hash, known)
  return known
}

/** Where the withdrawal of an L2 transaction is, as L1 has it now. */
export async function withdrawalStatus(hash: Hex): Promise<WithdrawalStatus> {
  const [config, l1, receipt] = await Promise.all([chainConfig(), publicL1(), receiptOf(hash)])
  return l1
    .extend(publicActionsL1())
    .getWithdrawalStatus({ receipt, targetChain: l2ChainOf(config) })
}

/** Shows on L1 that the withdrawal is in the state behind an output root. */
export async function prove(hash: Hex): Promise<void> {
  try {
    const [config, l1, l2, from, receipt] = await Promise.all([
      chainConfig(),
      publicL1(),
      publicL2(),
      signer('l1'),
      receiptOf(hash),
    ])
    const [withdrawal] = getWithdrawals(receipt)
    if (!withdrawal) throw new Error(`Transaction ${hash} has no withdrawal.`)
    const targetChain = l2ChainOf(config)
    const { output } = await l1.extend(publicActionsL1()).waitToProve({ receipt, targetChain })
    const proof = await l2.extend(publicActionsL2()).buildProveWithdrawal({
      account: from.account,
      output,
      withdrawal,
    })
    const proven = await from.extend(walletActionsL1()).proveWithdrawal(proof as never)
    await expectSuccess(proven)
  } catch (error) {
    throw explained(error)
  }
}

/** Has L1 pay. */
export async function finalize(hash: Hex): Promise<void> {
  try {
    const [config, from, receipt] = await Promise.all([
      chainConfig(),
      signer('l1'),
      receiptOf(hash),
    ])
    const [withdrawal] = getWithdrawals(receipt)
    if (!withdrawal) throw new Error(`Transaction ${hash} has no withdrawal.`)
    const paid = await from
      .extend(walletActionsL1())
      .finalizeWithdrawal({ targetChain: l2ChainOf(config), withdrawal } as never)
    await expectSuccess(paid)
  } catch (error) {
    throw explained(error)
  }
}

async function expectSuccess(hash: Hex): Promise<void> {
  const { status } = await (await publicL1()).waitForTransactionReceipt({ hash })
  if (status !== 'success') throw new Error(`L1 mined ${hash}, and it reverted.`)
}
