/**
 * Is this a block of the sequencer? One check for gossip and catch-up. The signature covers the raw
 * bytes and comes first: nothing a stranger wrote is ever decoded as a block.
 */
import type { Hex } from '../base/bytes.ts'
import { decodeBlock } from '../chain/block.ts'
import type { Block } from '../chain/types.ts'
import { recoverBlockSigner } from './signature.ts'
import type { SignedBlock, VerifiedBlock } from './types.ts'

/** The signer of a height may change with the system configuration, so it is asked each time. */
export type BlockSigner = () => Hex

/** Keys that were replaced: a stored block keeps the signature it was made with. */
export type PastSigners = {
  /** Before anything is decoded. */
  isKnown(signer: Hex): boolean
  mayHaveSigned(signer: Hex, block: Block): boolean
}

export type BlockCheck =
  | { readonly kind: 'valid'; readonly block: VerifiedBlock }
  | { readonly kind: 'wrong-signer' }
  | { readonly kind: 'bad-block' }

export function checkSignedBlock(
  signed: SignedBlock,
  rules: { chainId: bigint; signer: BlockSigner; past?: PastSigners },
): BlockCheck {
  const signer = recoverBlockSigner(rules.chainId, signed.block, signed.signature)
  const isCurrent = signer === rules.signer()
  if (!signer || !(isCurrent || rules.past?.isKnown(signer))) return { kind: 'wrong-signer' }
  try {
    const decoded = decodeBlock(signed.block)
    if (!isCurrent && !rules.past?.mayHaveSigned(signer, decoded)) return { kind: 'wrong-signer' }
    return { kind: 'valid', block: { ...signed, decoded } }
  } catch {
    return { kind: 'bad-block' }
  }
}
