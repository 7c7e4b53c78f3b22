/**
 * A contribution as its contributor commits to it: the EIP-712 struct of DatanetRegistry. Its struct hash is
 * the commitment, which hides the rows behind the salt and binds the contributor; a signature over the same
 * struct lets anybody pay for the reveal.
 */
import { hashStruct, hashTypedData } from 'viem/utils'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { signHash } from '../attribution/receipt.ts'
import type { Hex } from '../base/bytes.ts'

export type Contribution = {
  readonly datanetId: bigint
  readonly contributor: Hex
  readonly rowsRoot: Hex
  /** keccak256 of the row file, or of its encrypted form. */
  readonly contentHash: Hex
  readonly rowCount: number
  /** Bytes of the row file in clear, and of the pictures and sounds that its rows name. */
  readonly byteCount: bigint
  readonly isPrivate: boolean
  readonly salt: Hex
}

const TYPES = {
  Contribution: [
    { name: 'datanetId', type: 'uint256' },
    { name: 'contributor', type: 'address' },
    { name: 'rowsRoot', type: 'bytes32' },
    { name: 'contentHash', type: 'bytes32' },
    { name: 'rowCount', type: 'uint32' },
    { name: 'byteCount', type: 'uint64' },
    { name: 'isPrivate', type: 'bool' },
    { name: 'salt', type: 'bytes32' },
  ],
} as const

/** What DatanetRegistry's `commit` takes; the same as its `commitmentFor`. */
export function commitmentOf(contribution: Contribution): Hex {
  return hashStruct({ data: contribution, types: TYPES, primaryType: 'Contribution' })
}

/** What the contributor signs for `revealFor`. */
export function contributionDigest(contribution: Contribution, chainId: number): Hex {
  const domain = {
    name: 'OpenLedger',
    version: '1',
    chainId,
    verifyingContract: OPENLEDGER.datanetRegistry,
  }
  return hashTypedData({ domain, types: TYPES, primaryType: 'Contribution', message: contribution })
}

/** 65 bytes. */
export function signContribution(
  contribution: Contribution,
  signer: { readonly key: Uint8Array; readonly chainId: number },
): Hex {
  return signHash(contributionDigest(contribution, signer.chainId), signer.key)
}
