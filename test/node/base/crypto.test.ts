/** Native crypto against its twins: the same bytes on everything, junk included. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import t from 'tap'
import { bigintToBytes, bytesToBigint, fromHex, toHex } from '../../../node/base/bytes.ts'
import { crypto, nativeCrypto, plainCrypto } from '../../../node/base/crypto.ts'

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })

t.test('the addon is there, so that this compares two things', async (t) => {
  t.equal(crypto.fault, null)
})

t.test('keccak-256 is its twin on any message', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), (message) => {
      t.same(nativeCrypto.keccak256(message), plainCrypto.keccak256(message))
    }),
    { numRuns: 300 },
  )
})

t.test('recovery is its twin on signatures, their high-s forms and damaged ones', async (t) => {
  const damage = fc.constantFrom('none', 'highS', 'otherId', 'zeroR', 'orderS', 'flip')
  fc.assert(
    fc.property(bytes32, bytes32, damage, fc.nat(511), (key, hash, how, bit) => {
      if (!secp256k1.utils.isValidSecretKey(key)) return
      const signed = secp256k1.sign(hash, key, { prehash: false, format: 'recovered' })
      const request: { hash: Uint8Array; r: Uint8Array; s: Uint8Array; recoveryId: number } = {
        hash,
        r: signed.slice(1, 33),
        s: signed.slice(33),
        recoveryId: signed[0] as number,
      }
      if (how === 'highS') {
        request.s = bigintToBytes(ORDER - bytesToBigint(request.s), 32)
        request.recoveryId ^= 1
      }
      if (how === 'otherId') request.recoveryId ^= 1
      if (how === 'zeroR') request.r = new Uint8Array(32)
      if (how === 'orderS') request.s = bigintToBytes(ORDER, 32)
      if (how === 'flip') {
        const part = bit < 256 ? request.r : request.s
        const at = (bit & 255) >> 3
        part[at] = (part[at] as number) ^ (1 << (bit & 7))
      }
      const key1 = nativeCrypto.recover(request)
      t.same(key1, plainCrypto.recover(request))
      if (how === 'none' || how === 'highS') {
        t.same(key1, secp256k1.getPublicKey(key, false).slice(1))
      }
    }),
    { numRuns: 150 },
  )
})

t.test('hex is written and read back, and nothing else is read', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      t.same(fromHex(toHex(bytes)), bytes)
      t.same(fromHex(`0x${toHex(bytes).slice(2).toUpperCase()}`), bytes)
      t.equal(
        bytesToBigint(bytes),
        bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n),
      )
    }),
  )
  for (const bad of ['', '0', '0X00', '0x0', '0x0g', '0x /', '0x0é', '00', '0x00\n']) {
    t.throws(() => fromHex(bad), RangeError, JSON.stringify(bad))
  }
})
