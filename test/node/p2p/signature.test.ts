import { secp256k1 } from '@noble/curves/secp256k1.js'
import t from 'tap'
import { concatHex, keccak256, numberToHex, recoverAddress, toHex as viemHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { bigintToBytes, toHex, utf8 } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import {
  recoverBlockSigner,
  recoverEnvelopeSigner,
  signBlock,
  signEnvelope,
} from '../../../node/p2p/signature.ts'

const key = new Uint8Array(32).fill(7)
const signer = addressOfKey(key)
const block = utf8('the bytes of a block')

t.test('the key has the address that viem gives it', async (t) => {
  t.equal(signer, privateKeyToAccount(toHex(key)).address.toLowerCase())
})

t.test('a block signature recovers to its signer, here and in viem', async (t) => {
  const signature = signBlock(key, 901n, block)
  t.equal(signature.length, 65)
  t.equal(recoverBlockSigner(901n, block, signature), signer)
  const preimage = concatHex([
    `0x${'00'.repeat(32)}`,
    numberToHex(901n, { size: 32 }),
    keccak256(block),
  ])
  const recovered = await recoverAddress({
    hash: keccak256(preimage),
    signature: viemHex(signature),
  })
  t.equal(recovered.toLowerCase(), signer)
})

t.test('another chain, block or purpose makes it another signature', async (t) => {
  const signature = signBlock(key, 901n, block)
  t.not(recoverBlockSigner(902n, block, signature), signer)
  t.not(recoverBlockSigner(901n, utf8('other'), signature), signer)
  const statement = { chainId: 901n, kind: 'verdicts', payload: block } as const
  t.not(recoverEnvelopeSigner(statement, signature), signer)
  const sealed = signEnvelope(key, statement)
  t.equal(recoverEnvelopeSigner(statement, sealed), signer)
  t.not(recoverEnvelopeSigner({ ...statement, kind: 'receipts' }, sealed), signer)
  t.not(recoverBlockSigner(901n, block, sealed), signer)
})

t.test('the mirrored signature is refused: one block, one signature', async (t) => {
  const signature = signBlock(key, 901n, block)
  const { s } = secp256k1.Signature.fromBytes(signature.subarray(0, 64), 'compact')
  const mirrored = signature.slice()
  mirrored.set(bigintToBytes(secp256k1.Point.Fn.ORDER - s, 32), 32)
  mirrored[64] = (signature[64] as number) ^ 1
  t.equal(recoverBlockSigner(901n, block, mirrored), undefined)
})

t.test('65 bytes that are no signature recover to nobody', async (t) => {
  const good = signBlock(key, 901n, block)
  const withV = (v: number) => Uint8Array.of(...good.subarray(0, 64), v)
  const bad = [new Uint8Array(65), new Uint8Array(65).fill(255), good.subarray(0, 64), withV(27)]
  for (const signature of [...bad, withV(2), new Uint8Array()]) {
    t.equal(recoverBlockSigner(901n, block, signature), undefined)
  }
})
