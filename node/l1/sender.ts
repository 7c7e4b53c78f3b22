/**
 * The L1 account of a role: signs, sends, and looks for receipts. It keeps no state: which nonce holds
 * what, and what was sent, is the outbox's business, so that a restart forgets nothing.
 */
import { type Hex, toHex } from '../base/bytes.ts'
import type { Signer } from '../keys/signer.ts'
import type { L1Client } from './client.ts'
import { L1CallError } from './errors.ts'
import { type Bid, bidFees, FEE_LIMITS_DEFAULT, type FeeLimits } from './fees.ts'
import { parseHeader } from './header.ts'
import { hexOf, objectOf, quantityOf } from './json.ts'
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
  | { readonly kind: 'blobs'; readonly to: Hex; readonly blobs: readonly Uint8Array[] }

/** What the pool says. `nonceTooLow`: another transaction with this nonce is already in a block. */
export type SendOutcome =
  | 'sent'
  | 'known'
  | 'nonceTooLow'
  | 'underpriced'
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
    const header = await client.request('eth_getBlockByNumber', ['latest', false], (result) =>
      parseHeader(objectOf(result, 'block'), chainId),
    )
    const at = { blockHash: header.hash }
    const ask = (method: string) =>
      client.request(method, [this.address, at], (result) => quantityOf(result, method))
    const [nonce, balance] = [await ask('eth_getTransactionCount'), await ask('eth_getBalance')]
    const { hash, number, baseFee, blobBaseFee } = header
    return { nonce, balance, head: { hash, number }, baseFee, blobBaseFee }
  }

  bid(market: AccountState, replaces?: { readonly fees: L1Fees; readonly isBlob: boolean }): Bid {
    return bidFees(market, this.#options.fees ?? FEE_LIMITS_DEFAULT, replaces)
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

/** geth's, reth's and anvil's words. */
function outcomeOf(message: string): SendOutcome {
  if (/already (known|imported)/i.test(message)) return 'known'
  if (/nonce too low/i.test(message)) return 'nonceTooLow'
  if (/underpriced/i.test(message)) return 'underpriced'
  return { refused: message }
}
