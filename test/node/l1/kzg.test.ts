import t from 'tap'
import { encodeBlob } from '../../../node/derive/blob.ts'
import { blobVersionedHash, loadKzg, proveBlob } from '../../../node/l1/kzg.ts'

loadKzg()

t.test('the zero blob commits to the point at infinity', async (t) => {
  // sha256 of 0xc0 and 47 zero bytes, first byte replaced by the version.
  t.equal(
    await blobVersionedHash(new Uint8Array(131_072)),
    '0x010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014',
  )
})

t.test('both proof forms commit to the same blob', async (t) => {
  const blob = encodeBlob(Uint8Array.of(1, 2, 3))
  const [cells, old] = await Promise.all([proveBlob(blob, 'cells'), proveBlob(blob, 'blob')])
  t.equal(cells.versionedHash, old.versionedHash)
  t.equal(cells.versionedHash, await blobVersionedHash(blob))
  t.equal(cells.proofs.length, 128)
  t.equal(old.proofs.length, 1)
})

t.test('bytes that are no blob are refused, and the next blob is served', async (t) => {
  await t.rejects(blobVersionedHash(new Uint8Array(131_072).fill(0xff)), { code: 'kzg' })
  await t.rejects(blobVersionedHash(new Uint8Array(5)), { code: 'kzg' })
  t.match(await blobVersionedHash(encodeBlob(Uint8Array.of(7))), /^0x01/)
})

t.test('the event loop goes on while commitments are computed', async (t) => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await Promise.all(
    Array.from({ length: 4 }, () => proveBlob(encodeBlob(Uint8Array.of(9)), 'cells')),
  )
  clearInterval(timer)
  t.ok(turns > 20, `${turns} turns`)
})
