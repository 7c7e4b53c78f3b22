/**
 * One KZG operation: "the polynomial committed to by C has value y at z" (EIP-4844's point evaluation). The
 * EVM needs no other, and this one needs a single point of the trusted setup, so nothing has to be
 * loaded: the check is two pairings,
 *
 *   e(C - [y]G1, -G2) * e(proof, [tau]G2 - [z]G2) = 1
 *
 * Blobs are handled elsewhere (node/l1) with the native library, which reads the whole setup for seconds.
 */
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { bytesToBigint, fromHex } from '../base/bytes.ts'

const { G1, G2, fields } = bls12_381
type G1Point = InstanceType<typeof G1.Point>
type G2Point = InstanceType<typeof G2.Point>

/** [tau]G2 of Ethereum's KZG ceremony: `g2_monomial[1]` of the public trusted setup. */
const TAU_G2: G2Point = G2.Point.fromBytes(
  fromHex(
    '0xb5bfd7dd8cdeb128843bc287230af38926187075cbfbefa81009a2ce615ac53d2914e5870cb452d2afaaab24f3499f72185cbfee53492714734429b7b38608e23926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2',
  ),
)

/** 48, 32, 32 and 48 bytes. False for a wrong proof and for anything that is no point or field element. */
export function verifyKzgProof(args: {
  commitment: Uint8Array
  z: Uint8Array
  y: Uint8Array
  proof: Uint8Array
}): boolean {
  const commitment = pointOf(args.commitment)
  const proof = pointOf(args.proof)
  const z = scalarOf(args.z)
  const y = scalarOf(args.y)
  if (!commitment || !proof || z === null || y === null) return false
  const pairs: { g1: G1Point; g2: G2Point }[] = [
    { g1: commitment.subtract(times(G1.Point.BASE, y)), g2: G2.Point.BASE.negate() },
    { g1: proof, g2: TAU_G2.subtract(times(G2.Point.BASE, z)) },
  ]
  // A pairing with the point at infinity is 1.
  const live = pairs.filter(({ g1, g2 }) => !g1.is0() && !g2.is0())
  if (live.length === 0) return true
  return fields.Fp12.eql(bls12_381.pairingBatch(live), fields.Fp12.ONE)
}

function times<P extends G1Point | G2Point>(point: P, scalar: bigint): P {
  return point.multiplyUnsafe(scalar) as P
}

/** null unless compressed, on the curve and in the subgroup; the point at infinity is one. */
function pointOf(bytes: Uint8Array): G1Point | null {
  if (bytes.length !== 48) return null
  try {
    const point = G1.Point.fromBytes(bytes)
    return point.is0() || point.isTorsionFree() ? point : null
  } catch {
    return null
  }
}

/** null unless below the order of the group. */
function scalarOf(bytes: Uint8Array): bigint | null {
  const value = bytesToBigint(bytes)
  return bytes.length === 32 && value < fields.Fr.ORDER ? value : null
}
