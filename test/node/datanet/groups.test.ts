import fc from 'fast-check'
import t from 'tap'
import { keccak, toHex, utf8 } from '../../../node/base/bytes.ts'
import {
  decodeGroups,
  encodeGroups,
  GroupIndex,
  KIND,
  type Membership,
} from '../../../node/datanet/groups.ts'
import { isNear, shinglesOf, signatureOf } from '../../../node/datanet/shingles.ts'

const add = (index: GroupIndex, text: string): Membership => index.add(keccak(utf8(text)), text)
const words = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `word${from + i}`)

t.test('a copy joins its original, whatever the case, spaces and marks', async (t) => {
  const index = new GroupIndex()
  const original = add(index, 'The people of the United States, in order to form a union.')
  t.equal(original.kind, KIND.first)
  t.same(add(index, 'The people of the United States, in order to form a union.'), {
    group: original.group,
    kind: KIND.exact,
  })
  t.same(add(index, 'the PEOPLE of the united states in order  to form a union'), {
    group: original.group,
    kind: KIND.near,
  })
  t.equal(add(index, 'Quite another sentence about whales and the sea.').kind, KIND.first)
})

t.test('a later row never takes an earlier one out of its group', async (t) => {
  // b is near a and near c, which are not near each other: a bridge.
  const [a, b, c] = [words(40), words(40, 3), words(40, 6)].map((list) => list.join(' '))
  const shingles = [a, b, c].map((text) => shinglesOf(utf8(text as string)))
  t.ok(isNear(shingles[0] as Uint32Array, shingles[1] as Uint32Array))
  t.ok(isNear(shingles[1] as Uint32Array, shingles[2] as Uint32Array))
  t.notOk(isNear(shingles[0] as Uint32Array, shingles[2] as Uint32Array))
  const index = new GroupIndex()
  const first = add(index, a as string)
  const third = add(index, c as string)
  t.equal(third.kind, KIND.first)
  t.same(add(index, b as string), { group: first.group, kind: KIND.near }, 'the earliest wins')
  t.same(add(index, c as string).group, third.group)
})

t.test('the index finds exactly what comparing everything with everything finds', async () => {
  const text = fc
    .array(fc.constantFrom(...words(12)), { minLength: 1, maxLength: 40 })
    .map((list) => list.join(' '))
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 30 }), (texts) => {
      const index = new GroupIndex()
      const firsts: { group: string; shingles: Uint32Array; text: string }[] = []
      const seen = new Map<string, string>()
      return texts.every((row) => {
        const shingles = shinglesOf(utf8(row))
        const near = firsts.find((first) => isNear(first.shingles, shingles))
        const found = add(index, row)
        const wanted = seen.get(row) ?? near?.group ?? toHex(keccak(utf8(row)).subarray(0, 16))
        seen.set(row, wanted)
        if (!near) firsts.push({ group: wanted, shingles, text: row })
        return found.group === wanted
      })
    }),
    { numRuns: 100 },
  )
})

t.test('words are told apart by bytes alone', async (t) => {
  const same = (a: string, b: string): boolean =>
    Buffer.from(shinglesOf(utf8(a)).buffer).equals(Buffer.from(shinglesOf(utf8(b)).buffer))
  t.ok(same('One, two - THREE', 'one two three'))
  t.notOk(same('onetwo three', 'one two three'))
  t.equal(shinglesOf(utf8('日本語の文章')).length, 4, 'a character is a word')
  t.equal(shinglesOf(utf8('привет')).length, 1, 'two-byte letters make words')
  t.equal(shinglesOf(utf8(' .,;!')).length, 0)
  t.equal(new GroupIndex().add(keccak(utf8('x')), '...').kind, KIND.first)
})

t.test('the signature is a fixed function of the text', async (t) => {
  const signature = signatureOf(shinglesOf(utf8('the quick brown fox jumps over the lazy dog')))
  t.equal(signature.length, 128)
  t.equal(toHex(keccak(new Uint8Array(signature.buffer))), GOLDEN)
})

const GOLDEN = '0xfeccdcf2dbdca82b9427db28acb57f3e9a9b3327b0bc6237ea3ae711e6b72a8b'

t.test('a group file reads back, and nothing else is one', async (t) => {
  const membership = fc.record({
    group: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(toHex),
    kind: fc.constantFrom(KIND.first, KIND.exact, KIND.near),
  })
  const file = fc.record({ asOf: fc.bigInt(0n, 2n ** 64n - 1n), rows: fc.array(membership) })
  fc.assert(
    fc.property(file, (value) => {
      t.same(decodeGroups(encodeGroups(value)), value)
    }),
    { numRuns: 30 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        decodeGroups(bytes)
      } catch (error) {
        return (error as { code: string }).code === 'datanet-groups'
      }
      return true
    }),
  )
})
