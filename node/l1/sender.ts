/**
 * The L1 account of a role: signs, sends, and looks for receipts. It keeps no state: which nonce holds
 * what, and what was sent, is the outbox's business, so that a restart forgets nothing.
 *
 * With several endpoints none is believed alone. The head is the one they agree on (`agreement.ts`), so a base fee that
 * one invents moves no bid; nonce and balance are asked of all *at that block*, where honest answers are equal, and
 * what more than half say holds: a nonce too high would leave a gap in which every later batch waits, one too low would
 * send what is spent. What is sent goes to every endpoint, so that none can keep it to itself.
 */
import { type Hex, toHex } from '../base/bytes.ts'
import type { Signer } from '../keys/signer.ts'
import { L1Agreement } from './agreement.ts'
import type { L1Client, Vote } from './client.ts'
import { L1CallError, l1Behind, l1Disagreement } from './errors.ts'
import {
  type Bid,
  type BidOrder,
  bidFees,
  FEE_LIMITS_DEFAULT,
  type FeeLimits,
  type FeeMarket,
} from './fees.ts'
import { hexOf, objectOf, quantityOf } from './json.ts'
import type { BlobProofs } from './kzg.ts'
import { HEAD_DEFAULTS } from './options.ts'
import {
  type BlobProofKind,
  type L1Fees,
  type SignedL1Transaction,
  signL1Transaction,
} from './signing.ts'
import type { BlockId } from './types.ts'

export type L1SenderOptions = {
  readonly client: L1Client
  readonly signer: Signer
  readonly chainId: number
  readonly fees?: FeeLimits
  /** Sidecar form; `blob` only for an L1 before Fusaka. */
  readonly blobProofs?: BlobProofKind
}

export type Payload =
  | { readonly kind: 'calldata'; readonly to: Hex; readonly data: Uint8Array }
  | {
      readonly kind: 'blobs'
      readonly to: Hex
      readonly blobs: readonly Uint8Array[]
      readonly proven?: readonly BlobProofs[]
    }

/**
 * What the pool says.
 *   nonceTooLow   another transaction with this nonce is already in a block
 *   underpriced   the fees are too low, by themselves or as a replacement
 *   wrongType     the pool holds transactions of the account of the other kind: blob and plain
 *                 transactions exclude each other (geth: "address already reserved")
 *   noBlobs       this endpoint takes no blob transactions at all
 *   cannotPay     the balance does not cover everything the account has in the pool
 */
export type SendOutcome =
  | 'sent'
  | 'known'
  | 'nonceTooLow'
  | 'underpriced'
  | 'wrongType'
  | 'noBlobs'
  | 'cannotPay'
  | { readonly refused: string }

export type L1Inclusion = { readonly block: BlockId; readonly status: 0 | 1 }

/** Nonce, balance and fee market of one and the same L1 block. */
export type AccountState = {
  readonly nonce: bigint
  /** wei */
  readonly balance: bigint
  readonly head: BlockId
  readonly baseFee: bigint
  readonly blobBaseFee: bigint
}

export class L1Sender {
  readonly address: Hex
  readonly #options: L1SenderOptions
  readonly #agreement: L1Agreement

  constructor(options: L1SenderOptions) {
    const { client, chainId, signer } = options
    this.#options = options
    this.#agreement = new L1Agreement(HEAD_DEFAULTS, {
      client,
      config: { l1ChainId: chainId },
      now: () => performance.now(),
    })
    this.address = signer.address
  }

  /** @throws NodeError `l1-disagreement`, `l1-behind`, `l1-unavailable` (retry) */
  async account(): Promise<AccountState> {
    const header = await this.#agreement.latest()
    if (!header) throw l1Behind('it has no newest block')
    const nonce = await this.#at(header.hash, 'eth_getTransactionCount')
    const balance = await this.#at(header.hash, 'eth_getBalance')
    const { hash, number, baseFee, blobBaseFee } = header
    return { nonce, balance, head: { hash, number }, baseFee, blobBaseFee }
  }

  /** Nonces below this are used for good: in finalized blocks. 0 while L1 has none. */
  async finalizedNonce(): Promise<bigint> {
    const header = await this.#agreement.tagged('finalized').catch((error) => {
      // Before its first finalized block an L1 refuses the tag.
      if (error instanceof L1CallError) return null
      throw error
    })
    return header ? this.#at(header.hash, 'eth_getTransactionCount') : 0n
  }

  /** A number of the account's as of one block. Who contradicts the majority is put aside: no two answers can be right. */
  async #at(blockHash: Hex, method: string): Promise<bigint> {
    const { client } = this.#options
    const params = [this.address, { blockHash }]
    const parse = (result: unknown): bigint => quantityOf(result, method)
    const votes = await client.poll(method, params, parse)
    if (votes.length === 0) return client.request(method, params, parse)
    const best = majority(votes, String)
    const said = votes.map(({ endpoint, value }) => `${endpoint.name} says ${value}`).join(', ')
    if (!best) throw l1Disagreement(`${method} of ${this.address} at ${blockHash}: ${said}`)
    for (const { endpoint, value } of votes) {
      if (value === best.value) continue
      const reason = `${method} at ${blockHash} is ${best.value}, it says ${value}`
      client.putAside(endpoint, { kind: 'lied', reason })
    }
    return best.value
  }

  bid(market: FeeMarket, order: BidOrder): Bid {
    return bidFees(market, this.#options.fees ?? FEE_LIMITS_DEFAULT, order)
  }

  async sign(payload: Payload, nonce: bigint, fees: L1Fees): Promise<SignedL1Transaction> {
    const { chainId, signer, blobProofs: proofs = 'cells' } = this.#options
    const call =
      payload.kind === 'blobs'
        ? { ...payload, chainId, nonce, fees, proofs }
        : { ...payload, chainId, nonce, fees }
    return signL1Transaction(call, signer)
  }

  async send(raw: Uint8Array): Promise<SendOutcome> {
    const { client } = this.#options
    const params = [toHex(raw)]
    const parse = (hash: unknown): Hex => hexOf(hash, 'transaction hash', 32)
    const outcome = await client.request('eth_sendRawTransaction', params, parse).then(
      () => 'sent' as const,
      (error) => {
        if (!(error instanceof L1CallError)) throw error
        return outcomeOf(error.message)
      },
    )
    // Who says that it is there already may be lying. Who has it answers that it knows it: no vote and no fault.
    const isThere = outcome === 'sent' || outcome === 'known' || outcome === 'nonceTooLow'
    if (isThere && client.size > 1) await client.poll('eth_sendRawTransaction', params, parse)
    return outcome
  }

  /** Null while the transaction is in no block, for most of those who answer. */
  async inclusion(hash: Hex): Promise<L1Inclusion | null> {
    const { client } = this.#options
    const votes = await client.poll('eth_getTransactionReceipt', [hash], inclusionOf)
    if (votes.length === 0) {
      return client.request('eth_getTransactionReceipt', [hash], inclusionOf)
    }
    return majority(votes, (value) => `${value?.block.hash} ${value?.status}`)?.value ?? null
  }
}

function inclusionOf(result: unknown): L1Inclusion | null {
  if (result === null) return null
  const json = objectOf(result, 'receipt')
  const block = {
    hash: hexOf(json.blockHash, 'blockHash', 32),
    number: quantityOf(json.blockNumber, 'blockNumber'),
  }
  return { block, status: quantityOf(json.status, 'status') === 1n ? 1 : 0 }
}

/** What more than half say. */
function majority<T>(
  votes: readonly Vote<T>[],
  keyOf: (value: T) => string,
): { readonly value: T } | null {
  const groups = [...Map.groupBy(votes, ({ value }) => keyOf(value)).values()]
  const [best] = groups.filter((group) => group.length * 2 > votes.length)
  return best?.[0] ? { value: best[0].value } : null
}

/** geth's, reth's, nethermind's and anvil's words. */
const WORDS: readonly (readonly [RegExp, Exclude<SendOutcome, object>])[] = [
  [/already (known|imported|in mempool)/i, 'known'],
  [/nonce (is )?too low|old nonce/i, 'nonceTooLow'],
  [/already reserved|conflicting pool type|txpool of different type/i, 'wrongType'],
  [/type not supported|unsupported transaction type|blob transactions? (is|are) not/i, 'noBlobs'],
  [
    /underpriced|fee cap less than|less than block base fee|fee too low|replacement/i,
    'underpriced',
  ],
  [/insufficient funds|insufficient balance|overshot/i, 'cannotPay'],
]

export function outcomeOf(message: string): SendOutcome {
  const found = WORDS.find(([words]) => words.test(message))
  return found ? found[1] : { refused: message }
}
