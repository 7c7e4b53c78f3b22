/**
 * The L1 account of a role: signs, sends, and looks for receipts. It keeps no state: which nonce holds
 * what, and what was sent, is the outbox's business, so that a restart forgets nothing.
 */
import { type Hex, toHex } from '../base/bytes.ts'
import type { Signer } from '../keys/signer.ts'
import type { L1Client } from './client.ts'
import { L1CallError, l1Behind } from './errors.ts'
import {
  type Bid,
  type BidOrder,
  bidFees,
  FEE_LIMITS_DEFAULT,
  type FeeLimits,
  type FeeMarket,
} from './fees.ts'
import { requestHeader } from './header-source.ts'
import { hexOf, objectOf, quantityOf } from './json.ts'
import type { BlobProofs } from './kzg.ts'
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

  constructor(options: L1SenderOptions) {
    this.#options = options
    this.address = options.signer.address
  }

  async account(): Promise<AccountState> {
    const { client, chainId } = this.#options
    const header = await requestHeader(client, 'latest', { l1ChainId: chainId })
    if (!header) throw l1Behind('it has no newest block')
    const at = { blockHash: header.hash }
    const ask = (method: string) =>
      client.request(method, [this.address, at], (result) => quantityOf(result, method))
    const [nonce, balance] = [await ask('eth_getTransactionCount'), await ask('eth_getBalance')]
    const { hash, number, baseFee, blobBaseFee } = header
    return { nonce, balance, head: { hash, number }, baseFee, blobBaseFee }
  }

  /** Nonces below this are used for good: in finalized blocks. 0 while L1 has none. */
  async finalizedNonce(): Promise<bigint> {
    const { client, chainId } = this.#options
    const header = await requestHeader(client, 'finalized', { l1ChainId: chainId }).catch(
      (error) => {
        // Before its first finalized block an L1 refuses the tag.
        if (error instanceof L1CallError) return null
        throw error
      },
    )
    if (!header) return 0n
    const params = [this.address, { blockHash: header.hash }]
    return client.request('eth_getTransactionCount', params, (result) =>
      quantityOf(result, 'nonce'),
    )
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
    try {
      await this.#options.client.request('eth_sendRawTransaction', [toHex(raw)], (hash) =>
        hexOf(hash, 'transaction hash', 32),
      )
      return 'sent'
    } catch (error) {
      if (!(error instanceof L1CallError)) throw error
      return outcomeOf(error.message)
    }
  }

  /** Null while the transaction is in no block. */
  async inclusion(hash: Hex): Promise<L1Inclusion | null> {
    return this.#options.client.request('eth_getTransactionReceipt', [hash], (result) => {
      if (result === null) return null
      const json = objectOf(result, 'receipt')
      const block = {
        hash: hexOf(json.blockHash, 'blockHash', 32),
        number: quantityOf(json.blockNumber, 'blockNumber'),
      }
      return { block, status: quantityOf(json.status, 'status') === 1n ? 1 : 0 }
    })
  }
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
