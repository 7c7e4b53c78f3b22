/**
 * What `openledger_tracePayout` answers: how an account came to what it accrued in one epoch, each step with its proof
 * up to an output root of L1. All of it is JSON: hex, and decimal strings of wei.
 *
 *   output root (L1) -> state root -> accrued wei (storage of RewardDistributor)
 *                    -> block hash -> header -> receipts root -> Booked, Attributed -> receipt -> model (its seal)
 *                    -> hashes of older blocks (EIP-2935)                                  |-> claims -> corpus row
 *                                                                                          |-> sketch -> leaf
 */
import type { Hex } from '../../../genesis/addresses.ts'

export type ProofOfSlot = { readonly slot: Hex; readonly proof: readonly Hex[] }

export type TracedOutput = {
  readonly blockNumber: number
  readonly stateRoot: Hex
  readonly messagePasserStorageRoot: Hex
  readonly blockHash: Hex
  readonly outputRoot: Hex
  /** Index of the game on L1 whose claim it is; null: not posted yet, this node's own word. */
  readonly game: number | null
}

export type TracedBlock = {
  readonly number: number
  /** RLP. */
  readonly header: Hex
  /** Its hash in the EIP-2935 contract; null for the block of the output itself. */
  readonly history: ProofOfSlot | null
}

/** A row that a contributor is paid for, with the proof that the receipt pays for it. */
export type TracedRow = {
  readonly rowHash: Hex
  /** Where it stands; `openledger_getRowProof` proves it. null when the node cannot place it. */
  readonly place: {
    readonly datanet: string
    readonly version: number
    readonly row: number
    /** `retrieval`: paid for being retrieved alone. As the row itself shows. */
    readonly tier: 'full' | 'retrieval'
  } | null
  readonly siblings: readonly Hex[]
} & (
  | {
      /** Quoted in the answer, or retrieved into the prompt. */
      readonly channel: 'span' | 'retrieval'
      /** Which claim of the receipt. */
      readonly claim: number
      /** The 48 bytes of the row's leaf in the corpus. */
      readonly leaf: Hex
    }
  | {
      readonly channel: 'gradient'
      /** Row of the index. */
      readonly row: number
      readonly count: number
      /** What the leaf is the hash of. */
      readonly leaf: Hex
      /** q . t_i */
      readonly score: number
    }
)

export type TracedReceipt = {
  readonly receiptHash: Hex
  readonly block: number
  readonly transaction: Hex
  /** Place in the block. */
  readonly index: number
  readonly receiptProof: readonly Hex[]
  readonly transactionProof: readonly Hex[]
  /** wei it pays the account, in all its roles. */
  readonly amount: string
  readonly roles: readonly (
    | 'platform'
    | 'modelOwner'
    | 'stakers'
    | 'royalty'
    | 'contributor'
    | 'treasury'
  )[]
  /** The receipt itself as EIP-712 data; integers in decimal. */
  readonly receipt: { readonly [field: string]: string | number }
  readonly sketch: Hex
  readonly claims: Hex
  /** Rows of the account that earned it most, best first; a few. */
  readonly rows: readonly TracedRow[]
}

export type TracedModel = {
  readonly modelId: Hex
  /** Preimage of the id. */
  readonly seal: Hex
  /** Preimage of the corpus that the seal names; null when it names none. */
  readonly corpus: Hex | null
}

export type PayoutTrace = {
  readonly chainId: number
  readonly account: Hex
  readonly epoch: number
  /** wei that the receipts below pay. */
  readonly amount: string
  /** wei that stand in the state: less what was claimed or is held. */
  readonly accrued: string
  /** False when there are more receipts than one answer holds. */
  readonly isComplete: boolean
  readonly output: TracedOutput
  readonly rewards: {
    readonly accountProof: readonly Hex[]
    readonly epochSeconds: ProofOfSlot
    readonly accrued: ProofOfSlot
  }
  readonly history: { readonly accountProof: readonly Hex[] }
  readonly blocks: readonly TracedBlock[]
  readonly models: readonly TracedModel[]
  readonly receipts: readonly TracedReceipt[]
}
