/**
 * A receipt checked in this browser, step by step, from the answer's bytes up to L1. Nothing is believed that can be
 * computed; what is left to believe is said.
 *
 *   answer --keccak--> receipt --EIP-712--> hash, signed by the provider
 *   shares --Merkle-sum paths--> attribution root in the receipt
 *   hash and payouts --storage proof--> ReceiptRegistry --account proof--> state root --> output root --> L1
 */
import {
  concat,
  encodeAbiParameters,
  fromRlp,
  keccak256,
  pad,
  parseAbiParameters,
  toHex,
} from 'viem'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import {
  receiptHash as hashReceipt,
  type InferenceReceipt,
  recoverSigner,
} from '../../../attribution/receipt.ts'
import type { ShareProof } from '../../../attribution/share-proof.ts'
import { type SettledView, sharesFault } from '../../../attribution/verify/receipt.ts'
import { chainConfig } from './chain-config.ts'
import { integer, short } from './format.ts'
import { call } from './rpc.ts'
import { proven } from './trie.ts'
import type { Hex, ReceiptView } from './types.ts'

export type Check = {
  readonly name: string
  /** `trust`: not wrong, but somebody's word was taken for it. */
  readonly state: 'good' | 'bad' | 'trust'
  readonly text: string
}

type FullReceipt = ReceiptView & Readonly<Record<keyof InferenceReceipt, string | number>>
type Proof = {
  readonly storageHash: Hex
  readonly accountProof: readonly Hex[]
  readonly storageProof: readonly { readonly proof: readonly Hex[] }[]
}
type Output = {
  readonly outputRoot: Hex
  readonly stateRoot: Hex
  readonly withdrawalStorageRoot: Hex
  readonly blockRef: { readonly hash: Hex; readonly number: number }
}

/** ReceiptRegistry's storage: settledAt is mapping 0, payoutsOf mapping 2. */
const SETTLED_AT = 0n
const PAYOUTS_OF = 2n

/** Each check as it is done. `signature`: the provider's, when the answer was got here. */
export async function* verifyReceipt(hash: Hex, signature?: Hex): AsyncGenerator<Check> {
  const receipt = await call<FullReceipt | null>('openledger_getReceipt', hash)
  if (!receipt) throw new Error('The receipt is not settled yet: try again in a few seconds.')
  yield await receiptIs(receipt, hash, signature)
  yield await answerIs(receipt)
  yield await sharesAre(receipt)
  yield* settledIs(receipt, hash)
}

const check = (name: string, ok: boolean, good: string, bad: string): Check => ({
  name,
  state: ok ? 'good' : 'bad',
  text: ok ? good : bad,
})

async function receiptIs(receipt: FullReceipt, hash: Hex, signature?: Hex): Promise<Check> {
  const { l2ChainId } = await chainConfig()
  const domain = { chainId: l2ChainId, verifyingContract: OPENLEDGER.receiptRegistry }
  const found = hashReceipt(receipt as unknown as InferenceReceipt, domain)
  if (found !== hash || !signature) {
    const good = `its fields hash to ${short(hash)} (EIP-712)`
    return check('Receipt', found === hash, good, `its fields hash to ${found}, not to ${hash}`)
  }
  const signer = recoverSigner(hash, signature)
  return check(
    'Receipt',
    signer === receipt.provider,
    `its fields hash to ${short(hash)}, and the provider ${short(receipt.provider, 6, 4)} signed that`,
    `it is signed by ${signer ?? 'nobody'}, not by its provider ${receipt.provider}`,
  )
}

async function answerIs({ outputCommit }: FullReceipt): Promise<Check> {
  const bytes = await call<Hex>('openledger_getContent', outputCommit)
  const found = keccak256(bytes)
  return check(
    'Answer',
    found === outputCommit,
    `the answer's ${integer((bytes.length - 2) / 8)} tokens hash to what the receipt commits to`,
    `the answer's tokens hash to ${found}, the receipt says ${outputCommit}`,
  )
}

async function sharesAre(receipt: FullReceipt): Promise<Check> {
  const { receiptHash, contributors } = receipt
  const proofs = await Promise.all(
    contributors.map(({ account }) =>
      call<ShareProof | null>('openledger_getAttributionProof', receiptHash, account),
    ),
  )
  const fault = sharesFault(receipt as unknown as SettledView, proofs)
  return check(
    'Shares',
    fault === null,
    contributors.length === 0
      ? 'nobody has a share of this answer'
      : `${integer(contributors.length)} Merkle-sum paths lead to the attribution root, and every amount is its weight's part, to the wei`,
    fault ?? '',
  )
}

async function* settledIs(receipt: FullReceipt, hash: Hex): AsyncGenerator<Check> {
  const name = 'Settled'
  const proposed = await newestProposed(receipt.block.number)
  const block = proposed?.block ?? receipt.block.number
  const slots = [SETTLED_AT, PAYOUTS_OF].map((slot) =>
    keccak256(concat([hash, pad(toHex(slot))])),
  ) as [Hex, Hex]
  const [output, proof, booked] = await Promise.all([
    call<Output>('optimism_outputAtBlock', toHex(block)),
    call<Proof>('eth_getProof', OPENLEDGER.receiptRegistry, slots, toHex(block)),
    payoutsBooked(receipt, hash),
  ])
  try {
    const account = proven(output.stateRoot, OPENLEDGER.receiptRegistry, proof.accountProof)
    const storage = account && (fromRlp(account, 'hex') as Hex[])[2]
    if (!storage) throw new Error('ReceiptRegistry is not in the state')
    const [settledAt, payouts] = slots.map((slot, i) =>
      proven(storage, slot, proof.storageProof[i]?.proof ?? []),
    )
    yield check(
      name,
      settledAt !== null && settledAt !== undefined,
      `it stands in ReceiptRegistry: storage proof to the state root of block ${integer(block)}`,
      'ReceiptRegistry does not have it',
    )
    const stored = payouts && pad(fromRlp(payouts, 'hex') as Hex)
    yield check(
      'Payouts',
      stored === booked,
      'who was paid how many wei hashes to what the state holds',
      `the payouts hash to ${booked}, the state holds ${stored}`,
    )
  } catch (error) {
    yield { name, state: 'bad', text: (error as Error).message }
  }
  yield rootIs(output, proposed?.root ?? null)
}

/** keccak256(version || state root || storage root of L2ToL1MessagePasser || block hash). */
function rootIs(output: Output, proposed: Hex | null): Check {
  const { stateRoot, withdrawalStorageRoot, blockRef } = output
  const root = keccak256(concat([pad('0x0'), stateRoot, withdrawalStorageRoot, blockRef.hash]))
  if (proposed)
    return check(
      'Output root on L1',
      root === proposed,
      `the state root is in output root ${short(root)}, which a dispute game on L1 claims`,
      `the output root is ${root}, L1 has ${proposed}`,
    )
  return {
    name: 'Output root on L1',
    state: root === output.outputRoot ? 'trust' : 'bad',
    text: 'L1 has no output root that reaches this block yet, or cannot be asked from this browser: the one this node gives was used. Try again in a minute.',
  }
}

/** The newest game on L1 that reaches the block; null when there is none, or no way to ask L1. */
async function newestProposed(from: number): Promise<{ block: number; root: Hex } | null> {
  try {
    const [{ getGame }, clients, config] = await Promise.all([
      import('viem/op-stack'),
      import('../wallet/clients.ts'),
      chainConfig(),
    ])
    const game = await getGame((await clients.publicL1()) as never, {
      chain: null,
      targetChain: clients.l2ChainOf(config) as never,
      l2BlockNumber: BigInt(from),
      strategy: 'latest',
    })
    return { block: Number(game.l2BlockNumber), root: game.rootClaim }
  } catch {
    return null
  }
}

/** keccak256(abi.encode(payer, accounts, amounts)) of what the settling transaction logged. */
async function payoutsBooked(receipt: FullReceipt, hash: Hex): Promise<Hex> {
  const [{ ReceiptRegistry }, { decodeEventLog }] = await Promise.all([
    import('../../../../genesis/contracts.generated.ts'),
    import('viem'),
  ])
  const found = await call<{ logs: { topics: [Hex, ...Hex[]]; data: Hex; address: Hex }[] }>(
    'eth_getTransactionReceipt',
    receipt.transaction,
  )
  for (const { topics, data, address } of found.logs) {
    if (address !== OPENLEDGER.receiptRegistry || topics[1] !== hash) continue
    const { eventName, args } = decodeEventLog({ abi: ReceiptRegistry.abi, topics, data })
    if (eventName === 'Booked')
      return keccak256(
        encodeAbiParameters(parseAbiParameters('address, address[], uint256[]'), [
          receipt.payer,
          args.accounts,
          args.amounts,
        ]),
      )
  }
  throw new Error('The settling transaction has no log of the payouts.')
}
