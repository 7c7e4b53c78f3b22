/**
 * Is this a block of the sequencer? One check for gossip and catch-up. The signature covers the raw
 * bytes and comes first: nothing a stranger wrote is ever decoded as a block.
 */
import type { Hex } from '../base/bytes.ts'
import { decodeBlock } from '../chain/block.ts'
import { recoverBlockSigner } from './signature.ts'
import type { SignedBlock, VerifiedBlock } from './types.ts'

/** The signer of a height may change with the system configuration, so it is asked each time. */
export type BlockSigner = () => Hex

export type BlockCheck =
  | { readonly kind: 'valid'; readonly block: VerifiedBlock }
  | { readonly kind: 'wrong-signer' }
  | { readonly kind: 'bad-block' }

export function checkSignedBlock(
  signed: SignedBlock,
  rules: { chainId: bigint; signer: BlockSigner },
): BlockCheck {
  const signer = recoverBlockSigner(rules.chainId, signed.block, signed.signature)
  if (signer !== rules.signer()) return { kind: 'wrong-signer' }
  try {
    return { kind: 'valid', block: { ...signed, decoded: decodeBlock(signed.block) } }
  } catch {
    return { kind: 'bad-block' }
  }
}
