import { secp256k1 } from '@noble/curves/secp256k1.js'
import t from 'tap'
import { privateKeyToAccount } from 'viem/accounts'
import {
  type InferenceReceipt,
  RECEIPT_TYPES,
  receiptHash,
  recoverSigner,
  signHash,
} from '../../../node/attribution/receipt.ts'
import {
  concatBytes,
  fromHex,
  keccak,
  toHex,
  utf8,
  ZERO_ADDRESS,
  ZERO_HASH,
} from '../../../node/base/bytes.ts'
import { addressOfKey, parsePrivateKey } from '../../../node/base/keys.ts'

const key = keccak(utf8('a test key'))
const domain = { chainId: 1612, verifyingContract: ZERO_ADDRESS } as const
const receipt: InferenceReceipt = {
  requestId: ZERO_HASH,
  payer: addressOfKey(key),
  provider: addressOfKey(key),
  modelId: ZERO_HASH,
  baseHash: ZERO_HASH,
  adapterHash: ZERO_HASH,
  tokenizerHash: ZERO_HASH,
  promptCommit: ZERO_HASH,
  outputCommit: ZERO_HASH,
  tokensIn: 3,
  tokensOut: 5,
  seed: 0n,
  samplerHash: ZERO_HASH,
  traceRoot: ZERO_HASH,
  policyId: 1,
  sketchHash: ZERO_HASH,
  claimsHash: ZERO_HASH,
  attributionRoot: ZERO_HASH,
  fee: 10n ** 18n,
  startedAt: 1n,
  finishedAt: 2n,
  parentAction: ZERO_HASH,
}

t.test('a signature over a receipt names its signer, as any wallet would make it', async (t) => {
  const account = privateKeyToAccount(toHex(key))
  t.equal(addressOfKey(key), account.address.toLowerCase())
  const ours = signHash(receiptHash(receipt, domain), key)
  const theirs = await account.signTypedData({
    domain: { name: 'OpenLedger', version: '1', ...domain },
    types: RECEIPT_TYPES,
    primaryType: 'InferenceReceipt',
    message: receipt,
  })
  t.equal(ours, theirs)
  t.equal(recoverSigner(receiptHash(receipt, domain), ours), account.address.toLowerCase())
})

t.test('every field of a receipt changes its hash', async (t) => {
  const hash = receiptHash(receipt, domain)
  for (const [name, value] of Object.entries(receipt)) {
    const other =
      typeof value === 'bigint'
        ? value + 1n
        : typeof value === 'number'
          ? value + 1
          : `${value.slice(0, -1)}${value.endsWith('1') ? '2' : '1'}`
    t.not(receiptHash({ ...receipt, [name]: other }, domain), hash, name)
  }
})

t.test('a malformed signature recovers to nobody', async (t) => {
  const hash = receiptHash(receipt, domain)
  for (const bad of ['0x', '0x00', `0x${'00'.repeat(65)}`, `0x${'ff'.repeat(65)}`] as const) {
    t.equal(recoverSigner(hash, bad), null, bad.slice(0, 10))
  }
})

t.test('a signature with s in the upper half, which contracts refuse, names nobody', async (t) => {
  const hash = receiptHash(receipt, domain)
  const bytes = fromHex(signHash(hash, key))
  const { r, s } = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), 'compact')
  const flipped = new secp256k1.Signature(r, secp256k1.Point.Fn.ORDER - s).toBytes('compact')
  const other = concatBytes(flipped, Uint8Array.of(55 - (bytes[64] as number)))
  t.equal(recoverSigner(hash, toHex(other)), null)
})

t.test('a private key outside the curve is refused', async (t) => {
  t.throws(() => parsePrivateKey(ZERO_HASH), /private key is 32 bytes/)
  t.throws(() => parsePrivateKey(`0x${'ff'.repeat(32)}`), /below the order/)
  t.same(parsePrivateKey(toHex(key)), key)
})
