/**
 * Attestations: a validator's EIP-712 signature over an output it has derived from L1 and executed. Enough
 * of them are the proof AttestationVerifier takes. Two for different outputs of one block cost the
 * validator its bond, so a signature is given once per block and never taken back.
 */
import { encodeAbiParameters, recoverTypedDataAddress } from 'viem/utils'
import { fromHex, type Hex } from '../../node/base/bytes.ts'
import { signTypedData } from '../../node/keys/sign.ts'
import type { Signer } from '../../node/keys/signer.ts'

export type Output = { readonly l2BlockNumber: bigint; readonly outputRoot: Hex }

export type Attestation = Output & { readonly validator: Hex; readonly signature: Hex }

/** Which AttestationVerifier a signature is for. */
export type AttestationDomain = {
  readonly l1ChainId: number
  readonly l2ChainId: number
  readonly verifier: Hex
}

function typedData(domain: AttestationDomain, { l2BlockNumber, outputRoot }: Output) {
  return {
    domain: {
      name: 'OpenLedger AttestationVerifier',
      version: '1',
      chainId: domain.l1ChainId,
      verifyingContract: domain.verifier,
    },
    types: {
      Output: [
        { name: 'l2ChainId', type: 'uint256' },
        { name: 'l2BlockNumber', type: 'uint256' },
        { name: 'outputRoot', type: 'bytes32' },
      ],
    },
    primaryType: 'Output',
    message: { l2ChainId: BigInt(domain.l2ChainId), l2BlockNumber, outputRoot },
  } as const
}

/** @throws NodeError as `Signer.sign` */
export async function signOutput(
  domain: AttestationDomain,
  output: Output,
  signer: Signer,
): Promise<Attestation> {
  const signature = await signTypedData(signer, typedData(domain, output))
  return { ...output, validator: signer.address, signature }
}

/** Null when the bytes are no signature. */
export async function signerOf(
  domain: AttestationDomain,
  output: Output,
  signature: Hex,
): Promise<Hex | null> {
  try {
    const signed = { ...typedData(domain, output), signature }
    return (await recoverTypedDataAddress(signed)).toLowerCase() as Hex
  } catch {
    return null
  }
}

/** `abi.encode(bytes[])` in ascending order of the signers, each of them once. */
export function attestationProof(attestations: readonly Attestation[]): Uint8Array {
  const bySigner = new Map(attestations.map(({ validator, signature }) => [validator, signature]))
  const signatures = [...bySigner].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, s]) => s)
  return fromHex(encodeAbiParameters([{ type: 'bytes[]' }], [signatures]))
}
