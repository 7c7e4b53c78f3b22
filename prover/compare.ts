/**
 * What the provider claimed against what came out here, in the order the computation runs: prompt,
 * tokens, trace, sketch, claims, attribution, payouts. The first difference is the verdict. Pure.
 */

import type { PassPlace } from '../node/attribution/pass-place.ts'
import type { InferenceReceipt } from '../node/attribution/receipt.ts'
import {
  type InferenceRequest,
  requestIdOf,
  samplerHash,
  tokensCommit,
} from '../node/attribution/request.ts'
import type { FeeShares, SettledReceipt } from '../node/attribution/settled.ts'
import { claimTexts } from '../node/attribution/spans.ts'
import { type Hex, toHex } from '../node/base/bytes.ts'
import { type Inference, sketchHash, traceRoot } from '../node/model/infer.ts'

/** Where the first difference lies; `index` counts tokens, sketch entries, claims or payouts from 0, steps from 1. */
export type Difference = {
  readonly stage:
    | 'request'
    | 'model'
    | 'trace'
    | 'tokens'
    | 'sketch'
    | 'claims'
    | 'attribution'
    | 'payout'
    | 'training'
    | 'table'
  readonly field: string
  readonly index?: number
  /** Where in the forward pass, as far as the provider has shown it; `claimed` and `found` are then of that place. */
  readonly at?: PassPlace
  readonly claimed: string
  readonly found: string
}

/** One between a model's record and what came out here. */
export const inTable = (
  field: string,
  index: number,
  claimed: unknown,
  found: unknown,
): Difference => ({
  stage: 'table',
  field,
  index,
  claimed: String(claimed),
  found: String(found),
})

/** What the provider showed beyond the hashes in the receipt; each piece is checked before use. */
export type Evidence = {
  readonly tokens: readonly number[] | null
  readonly trace: readonly Uint8Array[] | null
  /** Trace leaves of the tokens shown, had the network honestly computed each after those before it. */
  readonly replayed: readonly Uint8Array[] | null
  /** The same by the base without the adapter: who saves itself the adapter has these. */
  readonly unadapted: readonly Uint8Array[] | null
  /** From the settlement's calldata. */
  readonly sketch: Int8Array
  /** From the settlement's calldata. */
  readonly claims: Uint8Array
}

export type Payout = { readonly account: Hex; readonly amount: bigint }

/** The receipt must speak of this request and of the model that the registry holds. */
export function compareRequest(
  receipt: InferenceReceipt,
  request: InferenceRequest,
  model: { baseHash: Hex; adapterHash: Hex; tokenizerHash: Hex },
): Difference | null {
  return first([
    field('request', 'requestId', receipt.requestId, requestIdOf(request)),
    field('request', 'modelId', receipt.modelId, request.modelId),
    field('request', 'promptCommit', receipt.promptCommit, tokensCommit(request.prompt)),
    field('request', 'tokensIn', receipt.tokensIn, request.prompt.length),
    field('request', 'seed', receipt.seed, BigInt(request.seed)),
    field('request', 'samplerHash', receipt.samplerHash, samplerHash(request.sampler)),
    field('model', 'baseHash', receipt.baseHash, model.baseHash),
    field('model', 'adapterHash', receipt.adapterHash, model.adapterHash),
    field('model', 'tokenizerHash', receipt.tokenizerHash, model.tokenizerHash),
  ])
}

/** Token by token, so that a wrong answer is named at the step where it went wrong, and by what is to blame:
 * `logits` when the network was not the committed one, `adapter` when it is shown to have been left out, `token` when the
 * network was the committed one and another token than the sampler's stands there. Which operator of the network differed
 * its provider is asked (`opening.ts`). */
export function compareInference(
  receipt: InferenceReceipt,
  evidence: Evidence,
  ours: Inference,
): Difference | null {
  const tokens = [...ours.tokens]
  const root = traceRoot(ours.trace)
  if (receipt.traceRoot !== root || receipt.outputCommit !== tokensCommit(tokens)) {
    return (
      firstStep(evidence, ours) ??
      firstToken(evidence.tokens, tokens) ??
      field('trace', 'traceRoot', receipt.traceRoot, root) ??
      field('tokens', 'outputCommit', receipt.outputCommit, tokensCommit(tokens))
    )
  }
  const counted = field('tokens', 'tokensOut', receipt.tokensOut, tokens.length)
  return (
    counted ??
    compareSketch(receipt, evidence.sketch, ours.sketch) ??
    compareClaims(evidence.claims, ours.claims)
  )
}

/** What the provider shows of the pass behind a wrong token, put beside the token. */
export function narrowed(
  wrong: Difference,
  located: Pick<Difference, 'at' | 'claimed' | 'found'>,
): Difference {
  const { stage, field, index } = wrong
  const at = index === undefined ? {} : { index }
  // A token is known to be wrong; an opening that comes out elsewhere says no more of it.
  if (!located.at && stage === 'tokens') return wrong
  if (!located.at) return { stage: 'trace', field: 'opening', ...at, ...located }
  return { stage: 'trace', field: field === 'adapter' ? field : 'logits', ...at, ...located }
}

/** Payouts as the chain accrued them against payouts recomputed here, in order. */
export function comparePayouts(
  claimed: readonly Payout[],
  found: readonly Payout[],
): Difference | null {
  for (let index = 0; index < Math.max(claimed.length, found.length); index++) {
    const [left, right] = [claimed[index], found[index]]
    if (left?.account === right?.account && left?.amount === right?.amount) continue
    return { stage: 'payout', field: 'amount', index, claimed: show(left), found: show(right) }
  }
  return null
}

/** The four parts of the fee as the chain logged them against the policy's. */
export function compareShares(claimed: FeeShares, found: FeeShares): Difference | null {
  const names = ['platform', 'modelOwner', 'stakers', 'contributors'] as const
  return first(names.map((name) => field('payout', name, claimed[name], found[name])))
}

/** What was booked is the shares, to the wei: platform, owner and its ancestors' owners, stakers, then who was attributed. */
export function compareBooked({
  booked,
  shares,
  contributors,
  treasuries,
  receipt,
}: Pick<
  SettledReceipt,
  'booked' | 'shares' | 'contributors' | 'treasuries' | 'receipt'
>): Difference | null {
  const last = contributors.length + treasuries
  const [head, rest] = [booked.slice(0, booked.length - last), booked.slice(booked.length - last)]
  const sum = (some: readonly Payout[]): bigint =>
    some.reduce((wei, { amount }) => wei + amount, 0n)
  const [platform, owner, stakers, ...royalties] = head.map(({ amount }) => amount)
  const owners = (owner ?? 0n) + royalties.reduce((wei, amount) => wei + amount, 0n)
  return first([
    field('payout', 'booked to the platform', platform ?? 0n, shares.platform),
    field('payout', 'booked to the owner and ancestors', owners, shares.modelOwner),
    field('payout', 'booked to stakers', stakers ?? 0n, shares.stakers),
    field('payout', 'booked to contributors', sum(rest), shares.contributors),
    field('payout', 'booked in all', sum(booked), receipt.fee),
    treasuries > 0 ? null : comparePayouts(rest, contributors),
  ])
}

export function field(
  stage: Difference['stage'],
  name: string,
  claimed: Hex | number | bigint,
  found: Hex | number | bigint,
): Difference | null {
  if (claimed === found) return null
  return { stage, field: name, claimed: String(claimed), found: String(found) }
}

function compareSketch(
  receipt: InferenceReceipt,
  claimed: Int8Array,
  found: Int8Array,
): Difference | null {
  if (receipt.sketchHash === sketchHash(found)) return null
  const index = found.findIndex((entry, i) => claimed[i] !== entry)
  const entry = (sketch: Int8Array): string => String(sketch[index] ?? 'nothing')
  if (index < 0) return field('sketch', 'sketchHash', receipt.sketchHash, sketchHash(found))
  return { stage: 'sketch', field: 'entry', index, claimed: entry(claimed), found: entry(found) }
}

/** Claim by claim: one that is false, one that is missing, one that the answer does not bear out. */
function compareClaims(claimed: Uint8Array, found: Uint8Array): Difference | null {
  const [theirs, ours] = [claimTexts(claimed), claimTexts(found)]
  for (let index = 0; index < Math.max(theirs.length, ours.length); index++) {
    const [left, right] = [theirs[index] ?? 'nothing', ours[index] ?? 'nothing']
    const field = (left === 'nothing' ? right : left).startsWith('retrieval') ? 'retrieval' : 'span'
    if (left !== right) return { stage: 'claims', field, index, claimed: left, found: right }
  }
  return null
}

function firstStep(evidence: Evidence, ours: Inference): Difference | null {
  const { tokens, trace, replayed, unadapted } = evidence
  if (!trace) return null
  const show = (leaf: Uint8Array | undefined): string => (leaf ? toHex(leaf) : 'nothing')
  for (let index = 0; index < Math.max(trace.length, ours.trace.length); index++) {
    const [claimed, found] = [show(trace[index]), show(ours.trace[index])]
    if (claimed === found) continue
    const isNetworkHonest = replayed?.[index] !== undefined && show(replayed[index]) === claimed
    const byToken = isNetworkHonest ? firstToken(tokens, [...ours.tokens]) : null
    if (byToken?.index === index) return byToken
    const isBare = unadapted?.[index] !== undefined && show(unadapted[index]) === claimed
    return { stage: 'trace', field: isBare ? 'adapter' : 'logits', index, claimed, found }
  }
  return null
}

function firstToken(
  claimed: readonly number[] | null,
  found: readonly number[],
): Difference | null {
  if (!claimed) return null
  for (let index = 0; index < Math.max(claimed.length, found.length); index++) {
    if (claimed[index] === found[index]) continue
    const show = (token: number | undefined): string =>
      token === undefined ? 'nothing' : String(token)
    return {
      stage: 'tokens',
      field: 'token',
      index,
      claimed: show(claimed[index]),
      found: show(found[index]),
    }
  }
  return null
}

function first(differences: readonly (Difference | null)[]): Difference | null {
  return differences.find((difference) => difference !== null) ?? null
}

function show(payout: Payout | undefined): string {
  return payout ? `${payout.amount} wei to ${payout.account}` : 'nothing'
}
