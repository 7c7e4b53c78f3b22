import t from 'tap'
import { concatBytes, fromHex, type Hex, toHex } from '../../../node/base/bytes.ts'
import { encodeRlp, type RlpItem } from '../../../node/chain/rlp.ts'
import { encodeBlob } from '../../../node/derive/blob.ts'
import { openBlobTransaction } from '../../../node/ethereum/sidecar.ts'
import { loadKzg, proveBlob } from '../../../node/l1/kzg.ts'

loadKzg()

const blob = encodeBlob(Uint8Array.of(1, 2, 3))
const NO_BYTES = new Uint8Array(0)

/** Only the versioned hashes matter here; what else is in it is the chain's to check. */
function body(hash: Hex): RlpItem[] {
  const fields: RlpItem[] = Array.from({ length: 14 }, () => NO_BYTES)
  fields[8] = []
  fields[10] = [fromHex(hash)]
  return fields
}

function wrap(...items: RlpItem[]): Uint8Array {
  return concatBytes(Uint8Array.of(3), encodeRlp(items))
}

t.test('a sidecar of either form is checked and taken off', async (t) => {
  for (const kind of ['blob', 'cells'] as const) {
    const { commitment, proofs, versionedHash } = await proveBlob(blob, kind)
    const version = kind === 'cells' ? [Uint8Array.of(1)] : []
    const tx = body(versionedHash)
    const sent = wrap(tx, ...version, [blob], [commitment], [...proofs])
    const opened = await openBlobTransaction(sent)
    t.equal(toHex(opened), toHex(concatBytes(Uint8Array.of(3), encodeRlp(tx))), kind)
  }
})

t.test('blobs that do not fit are refused with what is wrong', async (t) => {
  const { commitment, proofs, versionedHash } = await proveBlob(blob, 'cells')
  const other = await proveBlob(encodeBlob(Uint8Array.of(9)), 'cells')
  const tx = body(versionedHash)
  const one = Uint8Array.of(1)
  const wrong: [Uint8Array, RegExp][] = [
    [wrap(...tx), /must come with its blobs/],
    [wrap(tx, Uint8Array.of(2), [blob], [commitment], [...proofs]), /wrapper version is not 1/],
    [wrap(tx, one, [blob], [commitment]), /blobs is not a list/],
    [wrap(tx, one, [blob.subarray(1)], [commitment], [...proofs]), /131071 bytes, not 131072/],
    [wrap(tx, one, [blob], [commitment], [...other.proofs]), /a cell proof is wrong/],
    [wrap(tx, one, [blob], [other.commitment], [...proofs]), /a cell proof is wrong/],
    [wrap(tx, one, [], [], []), /there is no blob/],
    [wrap(body(other.versionedHash), one, [blob], [commitment], [...proofs]), /versioned hashes/],
    [wrap(tx, one, [blob], [commitment], proofs.slice(1)), /1 blobs, 1 commitments, 127 proofs/],
    [wrap(tx, one, [blob.slice().fill(0xff)], [commitment], [...proofs]), /not a blob/],
    [Uint8Array.of(3), /not a list/],
  ]
  for (const [sent, message] of wrong) {
    await t.rejects(openBlobTransaction(sent), { name: 'TxError', code: 'malformed', message })
  }
})

t.test('other types pass as they are', async (t) => {
  for (const raw of [Uint8Array.of(2, 0xc0), Uint8Array.of(0xc0), NO_BYTES]) {
    t.equal(await openBlobTransaction(raw), raw)
  }
})
