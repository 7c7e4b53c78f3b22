/** Private rows: what stands in public proves them, only a granted key reads them, and an erased payload breaks no proof. */
import { randomBytes } from 'node:crypto'
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import t from 'tap'
import { concatBytes, fromHex, type Hex, keccakHex, toHex, utf8 } from '../../../node/base/bytes.ts'
import { merkleLeaf, merkleRoot, merkleVerify } from '../../../node/base/merkle.ts'
import { decodeEnvelope, encodeEnvelope, envelopeRoot } from '../../../node/datanet/envelope.ts'
import { openRows, sealRows, unwrapKey, wrapKey } from '../../../node/datanet/private.ts'
import { proveRow } from '../../../node/datanet/proof.ts'
import { decodeRows, encodeRows, type Row, rowsRoot } from '../../../node/datanet/rows.ts'
import { packVersion, readVersion } from '../../../node/datanet/version.ts'

const ALICE: Hex = `0x${'a1'.repeat(20)}`
const BOB: Hex = `0x${'b0'.repeat(20)}`
const random = (size: number): Uint8Array => new Uint8Array(randomBytes(size))
const SECRET: Row[] = [
  { text: 'The patient is well.', meta: { ward: 7 } },
  { text: 'The patient is well.' },
  { text: 'Yes' },
]

t.test('a key content is read by its reader alone, and for these rows alone', async (t) => {
  const [key, ephemeral, secret] = [random(32), random(32), random(32)]
  const reader = secp256k1.getPublicKey(secret, true)
  const place = { chainId: 7, datanetId: 3n, rowsRoot: `0x${'11'.repeat(32)}` as Hex }
  const content = wrapKey(key, { reader, ephemeral, place })
  t.equal(content.length, 86)
  t.same(unwrapKey(content, secret, place), key)
  const refused = { code: 'datanet-private' }
  t.throws(() => unwrapKey(content, random(32), place), refused)
  t.throws(() => unwrapKey(content, secret, { ...place, datanetId: 4n }), refused)
  t.throws(() => unwrapKey(content.subarray(1), secret, place), refused)
  for (const i of [0, 4, 5, 20, 38, 85]) {
    const bent = content.map((byte, at) => (at === i ? byte ^ 1 : byte))
    t.throws(() => unwrapKey(bent, secret, place), refused)
  }
})

t.test('rows are read with the key, and nothing of them without', async (t) => {
  const key = random(32)
  const { envelope, payload, contentHash, rowsRoot: root } = sealRows(SECRET, { key, random })
  t.equal(keccakHex(envelope), contentHash)
  const open = decodeEnvelope(envelope)
  t.equal(envelopeRoot(open), root)
  const rows = openRows(open, payload, key)
  t.same(
    rows.map(({ salt: _, ...row }) => row),
    SECRET,
  )
  t.equal(rowsRoot(rows), root, 'the root is over the rows as any other')
  t.equal(new Set(open.rowHashes.map(toHex)).size, 3, 'equal rows do not show as equal')
  for (const word of ['patient', 'Yes'])
    t.notOk(Buffer.concat([envelope, payload]).includes(word), word)
  t.throws(() => openRows(open, payload, random(32)), /key does not open/)
  t.throws(() => openRows(open, payload.subarray(1), key), /payload is another one/)
  const lying = { ...open, rowHashes: open.rowHashes.toReversed() }
  t.throws(() => openRows(lying, payload, key), /row 0 has another hash/)
  // Another key that opens the payload as well, to something else: said of the grant, not of the rows.
  const nonce = random(24)
  const context = concatBytes(utf8('openledger/private-rows/1'), fromHex(root))
  const other = concatBytes(nonce, xchacha20poly1305(key, nonce, context).encrypt(utf8('no rows')))
  const committed = { ...open, payloadHash: keccakHex(other) }
  const opened = { code: 'datanet-private', message: /opens something else/ }
  t.throws(() => openRows(committed, other, key), opened)
  t.throws(() => decodeRows(encodeRows(rows)), /row 1: unknown field 'salt'/)
})

t.test('a version with private rows is proved row by row, also when they are erased', async (t) => {
  const content = new Map<Hex, Uint8Array>()
  const put = (bytes: Uint8Array): Hex => {
    content.set(keccakHex(bytes), bytes)
    return keccakHex(bytes)
  }
  const read = async (hash: Hex): Promise<Uint8Array> => {
    const bytes = content.get(hash)
    if (!bytes) throw new Error(`no ${hash}`)
    return bytes
  }
  const key = random(32)
  const open: Row[] = [{ text: 'one' }, { text: 'two' }]
  const sealed = sealRows(SECRET, { key, random })
  const payloadHash = put(sealed.payload)
  const { manifest, ...packed } = packVersion([
    { contributor: BOB, file: put(encodeRows(open)), rows: open },
    { contributor: ALICE, file: put(sealed.envelope), envelope: decodeEnvelope(sealed.envelope) },
  ])
  t.equal(packed.contributions[1], sealed.rowsRoot)
  const expected = { ...packed, manifestHash: put(manifest) }

  const reader = async ({ file }: { file: Hex }): Promise<Row[]> => {
    const envelope = decodeEnvelope(await read(file))
    return openRows(envelope, await read(envelope.payloadHash), key)
  }
  const rows = await readVersion(expected, read, reader)
  t.same(
    rows.map(({ row }) => row.text),
    [...open, ...SECRET].map(({ text }) => text),
  )
  await t.rejects(readVersion(expected, read), {
    code: 'datanet-private',
    message: /3 rows of 0xa1a1.* are private/,
  })

  content.delete(payloadHash)
  for (const [index, { contributor }] of rows.entries()) {
    const proof = await proveRow(expected, index, read)
    t.equal(proof.row === null, contributor === ALICE)
    t.equal(proof.contributor, contributor)
    const leaf = merkleLeaf(concatBytes(fromHex(contributor), fromHex(proof.rowHash)))
    const { root, count } = proof
    t.ok(merkleVerify(proof.proof.map(fromHex), { root: fromHex(root), leaf, index, count }))
  }
})

t.test('what an envelope says survives its encoding, and nothing else is one', async (t) => {
  const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const rows = fc.array(fc.tuple(bytes32, bytes32), { minLength: 1, maxLength: 9 })
  fc.assert(
    fc.property(bytes32, rows, (payload, pairs) => {
      const envelope = {
        payloadHash: toHex(payload),
        leaves: pairs.map(([leaf]) => leaf),
        rowHashes: pairs.map(([, hash]) => hash),
      }
      t.same(decodeEnvelope(encodeEnvelope(envelope)), envelope)
    }),
    { numRuns: 20 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const one of [bytes, concatBytes(utf8('OLPR'), Uint8Array.of(1), bytes)]) {
        try {
          t.ok(merkleRoot(decodeEnvelope(one).leaves))
        } catch (error) {
          t.match(error, { code: 'datanet-rows' })
        }
      }
    }),
    { numRuns: 100 },
  )
})
