/**
 * A settled receipt judged by who paid for the answer, from proofs alone: nobody is asked whether it is right.
 *
 *   fields --EIP-712--> hash, signed by the provider
 *   payer, or keccak256(payer, nonce, parent) of an x402 payment --> paid by this caller
 *   shares --Merkle-sum paths--> attribution root among the fields, weights that sum to one, amounts to the wei
 *
 * What is left to believe is that the provider ran the model that it names: validators run it again.
 */
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import { splitAmount } from '../../../precompiles/score.ts'
import { sumRoot } from '../../../precompiles/sum-tree.ts'
import { type Hex, toHex, ZERO_HASH } from '../../base/bytes.ts'
import { type InferenceReceipt, receiptHash, recoverSigner, x402Action } from '../receipt.ts'
import { type ShareProof, verifyShare } from '../share-proof.ts'

/** As `openledger_getReceipt` answers: amounts of wei are decimal strings. */
export type SettledView = Readonly<Record<keyof InferenceReceipt, string | number>> & {
  readonly receiptHash: Hex
  readonly modelId: Hex
  readonly payer: Hex
  readonly provider: Hex
  readonly attributionRoot: Hex
  readonly parentAction: Hex
  readonly fee: string
  readonly shares: { readonly contributors: string }
  /** In payout order. */
  readonly contributors: readonly { readonly account: Hex; readonly amount: string }[]
  readonly block: { readonly number: number; readonly hash: Hex }
}

export type ReceiptEvidence = {
  readonly chainId: number
  /** As they came with the answer. */
  readonly receiptHash: Hex
  readonly providerSignature: Hex
  /** `openledger_getAttributionProof` of each contributor, in order. */
  readonly proofs: readonly (ShareProof | null)[]
  /** The model that was asked. */
  readonly modelId: Hex
  /** Who paid; `nonce` of the x402 payment, absent where a voucher paid. */
  readonly payment: { readonly payer: Hex; readonly nonce?: Hex; readonly parent?: Hex }
}

export type ReceiptJudgement =
  | { readonly ok: true; readonly receiptHash: Hex; readonly shares: number }
  | {
      readonly ok: false
      readonly step: 'hash' | 'signature' | 'model' | 'payer' | 'shares'
      readonly reason: string
    }

const ROOT_OF_NOBODY: Hex = toHex(sumRoot([]))

/** @param receipt as it was settled; nothing of it is believed */
export function verifyReceipt(receipt: SettledView, evidence: ReceiptEvidence): ReceiptJudgement {
  const { chainId, providerSignature, modelId, payment, proofs } = evidence
  const wrong = (step: (ReceiptJudgement & { ok: false })['step'], reason: string) =>
    ({ ok: false, step, reason }) as const
  const domain = { chainId, verifyingContract: OPENLEDGER.receiptRegistry }
  const hash = receiptHash(receipt as unknown as InferenceReceipt, domain)
  if (hash !== evidence.receiptHash)
    return wrong('hash', `the receipt hashes to ${hash}, the answer named ${evidence.receiptHash}`)
  const signer = recoverSigner(hash, providerSignature)
  if (signer !== receipt.provider)
    return wrong('signature', `it is signed by ${signer ?? 'nobody'}, not by ${receipt.provider}`)
  if (receipt.modelId !== modelId)
    return wrong('model', `it is of the model ${receipt.modelId}, not of ${modelId}`)
  if (!isPaidBy(receipt, payment))
    return wrong('payer', `it does not say that ${payment.payer} paid for it`)
  const fault = sharesFault(receipt, proofs)
  if (fault) return wrong('shares', fault)
  return { ok: true, receiptHash: hash, shares: receipt.contributors.length }
}

/** What is wrong with who is said to be paid how much, or null. A good path of somebody else proves nothing. */
export function sharesFault(
  {
    attributionRoot,
    contributors,
    shares,
  }: Pick<SettledView, 'attributionRoot' | 'contributors' | 'shares'>,
  proofs: readonly (ShareProof | null)[],
): string | null {
  if (contributors.length === 0 && attributionRoot !== ROOT_OF_NOBODY)
    return 'nobody is said to have a share, and the attribution root says otherwise'
  const proven: ShareProof[] = []
  for (const [i, { account }] of contributors.entries()) {
    const proof = proofs[i]
    const isGood =
      proof?.account === account &&
      proof.at === i &&
      proof.count === contributors.length &&
      verifyShare(attributionRoot, proof)
    if (!isGood) return `the share of ${account} is not under the attribution root`
    proven.push(proof)
  }
  const parts = proven.map(({ index, weight }) => ({ index, weight: BigInt(weight) }))
  const amounts = splitAmount(BigInt(shares.contributors), parts)
  const at = contributors.findIndex(({ amount }, i) => BigInt(amount) !== amounts[i])
  if (at < 0) return null
  const { account, amount } = contributors[at] as SettledView['contributors'][number]
  return `${account} is paid ${amount} wei, and its share comes to ${amounts[at]}`
}

function isPaidBy(receipt: SettledView, payment: ReceiptEvidence['payment']): boolean {
  const { nonce, parent = ZERO_HASH } = payment
  const payer = payment.payer.toLowerCase() as Hex
  if (nonce === undefined) return receipt.payer === payer
  return receipt.parentAction === x402Action(payer, nonce, parent)
}
