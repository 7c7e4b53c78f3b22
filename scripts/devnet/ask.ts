/**
 * One paid question and what became of it: the answer, its settled receipt, the batch on L1 that carries
 * it, and the validator's verdict.
 */
import { parseEther } from 'viem'
import type { VerdictRecord } from '../../node/attribution/ledger.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { payingFetch } from '../../node/model/paying-fetch.ts'
import { type At, type Rpc, until } from './economy.ts'
import type { Wallet } from './wallet.ts'

export type ReceiptView = {
  readonly receiptHash: Hex
  readonly modelId: Hex
  readonly payer: Hex
  readonly fee: string
  readonly tokensIn: number
  readonly tokensOut: number
  readonly shares: Readonly<Record<'platform' | 'modelOwner' | 'stakers' | 'contributors', string>>
  readonly contributors: readonly { account: Hex; share: number; amount: string }[]
  readonly block: { readonly number: number; readonly hash: Hex }
  readonly transaction: Hex
}

export type Batch = {
  readonly transactionHash: Hex
  readonly l1Block: { readonly number: number; readonly hash: Hex }
  readonly versionedHashes: readonly Hex[]
  readonly from: number
  readonly to: number
}

export type VerdictView = Omit<VerdictRecord, 'receiptHash'>

export type Asked = {
  readonly prompt: string
  readonly text: string
  readonly receipt: ReceiptView
}

export type Outcome = {
  readonly verdict: VerdictView
  readonly batch: Batch
  readonly safeHash: Hex
  readonly stateRoot: Hex
  /** Verdict, block hash and state root all agree. */
  readonly agreed: boolean
}

/** Most that all questions of one asking may cost. */
const BUDGET_OPEN = '1'

/** Asks, pays by voucher, and waits until the receipt is settled. */
export async function ask(
  question: { model: string; prompt: string; maxTokens: number; temperature?: number },
  with_: { url: string; payer: Wallet; rpc: Rpc },
): Promise<Asked> {
  const { url, payer, rpc } = with_
  const pay = payingFetch({ account: payer.signer, budgetWei: parseEther(BUDGET_OPEN) })
  const response = await pay(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: question.model,
      prompt: question.prompt,
      max_tokens: question.maxTokens,
      temperature: question.temperature ?? 0.5,
      top_p: 0.8,
      seed: 1789,
    }),
  })
  const body = (await response.json()) as Completion
  if (!response.ok)
    throw userError(
      'inference',
      `the provider refuses (${response.status}): ${body.error?.message}`,
    )
  const receipt = await until('the settlement', () =>
    rpc<ReceiptView | null>('openledger_getReceipt', body.id),
  )
  return { prompt: question.prompt, text: body.choices[0]?.text ?? '', receipt }
}

type Completion = {
  readonly id: Hex
  readonly choices: readonly { readonly text: string }[]
  readonly error?: { readonly message: string }
}

type ProverStatus = { readonly verifiedBlock: number }

/** Waits for the batch on L1 and the validator's word, and compares the two nodes' blocks. */
export async function awaitVerdict(
  receipt: ReceiptView,
  nodes: { sequencer: Rpc; validator: Rpc },
  update: (part: number, note?: string) => void,
): Promise<Outcome> {
  const { number, hash } = receipt.block
  // The chain goes on: what comes after the receipt's block is no progress of the receipt's.
  const upTo = (at: At, block: number): void => at(Math.min(block, number))
  const batch = await until('the batch on L1', async (at) => {
    const batches = await nodes.sequencer<Batch[]>('openledger_listBatches')
    upTo(at, batches[0]?.to ?? 0)
    return batches.find(({ from, to }) => from <= number && number <= to)
  })
  update(0.4, `blob on L1 in block ${batch.l1Block.number}`)
  const verdict = await until("the validator's verdict", async (at) => {
    upTo(at, (await nodes.validator<ProverStatus>('openledger_proverStatus')).verifiedBlock)
    return nodes.validator<VerdictView | null>('openledger_getVerdict', receipt.receiptHash)
  })
  update(0.8, 'comparing heads')
  const tag = `0x${number.toString(16)}`
  const verified = await until('the re-execution', async (at) => {
    const { verifiedBlock } = await nodes.validator<ProverStatus>('openledger_proverStatus')
    upTo(at, verifiedBlock)
    return verifiedBlock >= number && nodes.validator<BlockView>('eth_getBlockByNumber', tag, false)
  })
  return {
    verdict,
    batch,
    safeHash: verified.hash,
    stateRoot: verified.stateRoot,
    agreed: verdict.ok && verified.hash === hash,
  }
}

type BlockView = { readonly hash: Hex; readonly stateRoot: Hex }
