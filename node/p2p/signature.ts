/**
 * Signatures of the p2p layer: secp256k1, recoverable, r || s || v with v = 0 or 1, s in the lower
 * half (a mirrored s would make a second message out of one). What is signed (specs:
 * rollup-node-p2p.md, "Block signatures"):
 *
 *   keccak256( domain (32 bytes) || chain id (u256) || keccak256(payload) )
 *
 * Blocks have the zero domain, as op-node's have. Envelopes have keccak256("openledger/<kind>/1"),
 * so that no signature serves for two purposes.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bigintToBytes, concatBytes, type Hex, keccak, utf8 } from '../base/bytes.ts'
import { addressOfPublicKey } from '../base/keys.ts'
import { SIGNATURE_BYTES } from './codec.ts'
import type { EnvelopeKind, StatementKind } from './types.ts'

const BLOCK_DOMAIN = new Uint8Array(32)

/** `block` is the RLP of the block. */
export function signBlock(key: Uint8Array, chainId: bigint, block: Uint8Array): Uint8Array {
  return sign(key, digest(BLOCK_DOMAIN, chainId, block))
}

/** The bytes whose keccak256 a block's signature is over, for a signer that holds the key elsewhere. */
export function blockPreimage(chainId: bigint, block: Uint8Array): Uint8Array {
  return preimage(BLOCK_DOMAIN, chainId, block)
}

/** The address that signed, or undefined when the 65 bytes are no signature. */
export function recoverBlockSigner(
  chainId: bigint,
  block: Uint8Array,
  signature: Uint8Array,
): Hex | undefined {
  return recover(digest(BLOCK_DOMAIN, chainId, block), signature)
}

export function signEnvelope(
  key: Uint8Array,
  statement: { chainId: bigint; kind: EnvelopeKind; payload: Uint8Array },
): Uint8Array {
  return sign(key, digest(envelopeDomain(statement.kind), statement.chainId, statement.payload))
}

/** The bytes whose keccak256 an envelope's signature is over. */
export function envelopePreimage(statement: {
  chainId: bigint
  kind: StatementKind
  payload: Uint8Array
}): Uint8Array {
  return preimage(envelopeDomain(statement.kind), statement.chainId, statement.payload)
}

export function recoverEnvelopeSigner(
  statement: { chainId: bigint; kind: EnvelopeKind; payload: Uint8Array },
  signature: Uint8Array,
): Hex | undefined {
  const hash = digest(envelopeDomain(statement.kind), statement.chainId, statement.payload)
  return recover(hash, signature)
}

function envelopeDomain(kind: StatementKind): Uint8Array {
  return keccak(utf8(`openledger/${kind}/1`))
}

function digest(domain: Uint8Array, chainId: bigint, payload: Uint8Array): Uint8Array {
  return keccak(preimage(domain, chainId, payload))
}

function preimage(domain: Uint8Array, chainId: bigint, payload: Uint8Array): Uint8Array {
  return concatBytes(domain, bigintToBytes(chainId, 32), keccak(payload))
}

/** noble puts the recovery bit first, Ethereum last. */
function sign(key: Uint8Array, hash: Uint8Array): Uint8Array {
  const recovered = secp256k1.sign(hash, key, { prehash: false, format: 'recovered' })
  return concatBytes(recovered.subarray(1), recovered.subarray(0, 1))
}

function recover(hash: Uint8Array, signature: Uint8Array): Hex | undefined {
  const v = signature[64]
  if (signature.length !== SIGNATURE_BYTES || (v !== 0 && v !== 1)) return undefined
  try {
    const rs = signature.subarray(0, 64)
    const parsed = secp256k1.Signature.fromBytes(rs, 'compact')
    if (parsed.hasHighS()) return undefined
    return addressOfPublicKey(parsed.addRecoveryBit(v).recoverPublicKey(hash).toBytes(false))
  } catch {
    return undefined
  }
}
