import fc from 'fast-check'
import t from 'tap'
import { keccakHex, toHex, utf8 } from '../../../node/base/bytes.ts'
import { cidOf, hashOfCid } from '../../../node/content/cid.ts'

t.test('a content hash and its CID say the same', async (t) => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
  fc.assert(fc.property(bytes, (hash) => hashOfCid(cidOf(toHex(hash))) === toHex(hash)))
  t.match(cidOf(keccakHex(utf8('row'))), /^bafkr[a-z2-7]{54}$/)
})

t.test('a CID of another kind is refused', async (t) => {
  // sha2-256, raw; dag-pb v0; not a CID at all
  for (const text of [
    'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
    'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG',
    'row',
    '',
  ])
    t.throws(() => hashOfCid(text), { code: 'bad-content-hash' })
})
