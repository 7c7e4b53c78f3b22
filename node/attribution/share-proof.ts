/**
 * A proof that a receipt pays somebody a share: the leaf and its path to the attribution root, which the provider signed
 * and consensus checked. Whoever has the root needs nothing else: the sum that comes out must be 2^32.
 */
import { WEIGHT_ONE } from '../../precompiles/score.ts'
import { sumProof, verifySum } from '../../precompiles/sum-tree.ts'
import { fromHex, type Hex, toHex } from '../base/bytes.ts'
import type { Attributed } from './settled.ts'

export type ShareProof = {
  readonly account: Hex
  /** Row of the attribution table. */
  readonly index: number
  /** Part of 2^32, decimal. */
  readonly weight: string
  /** Place in payout order, and how many are paid. */
  readonly at: number
  readonly count: number
  readonly path: { readonly hash: Hex; readonly sum: string }[]
}

/** null when `account` has no share. */
export function proveShare(paid: readonly Attributed[], account: Hex): ShareProof | null {
  const at = paid.findIndex((share) => share.account === account)
  const share = paid[at]
  if (!share) return null
  const leaves = paid.map((one) => ({ ...one, account: fromHex(one.account) }))
  const path = sumProof(leaves, at).map(({ hash, sum }) => ({
    hash: toHex(hash),
    sum: sum.toString(),
  }))
  const { index, weight } = share
  return { account, index, weight: weight.toString(), at, count: paid.length, path }
}

export function verifyShare(attributionRoot: Hex, proof: ShareProof): boolean {
  const { account, index, weight, at, count } = proof
  const path = proof.path.map(({ hash, sum }) => ({ hash: fromHex(hash), sum: BigInt(sum) }))
  const leaf = { index, account: fromHex(account), weight: BigInt(weight) }
  return verifySum(path, { root: fromHex(attributionRoot), leaf, at, count, total: WEIGHT_ONE })
}
