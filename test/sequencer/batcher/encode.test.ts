import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { BLOB_DATA_BYTES_MAX } from '../../../genesis/limits.ts'
import { concatBytes, type Hex, keccakHex, toHex, utf8 } from '../../../node/base/bytes.ts'
import { l1AttributesDeposit } from '../../../node/chain/l1-attributes.ts'
import type { Block } from '../../../node/chain/types.ts'
import { decodeBlob } from '../../../node/derive/blob.ts'
import {
  BLOB_FRAME_BYTES,
  batchOf,
  checkSubmissions,
  type EncodeTarget,
  encodeChannel,
  encodeSubmissions,
} from '../../../sequencer/batcher/encode.ts'
import { l1AttributesAt } from '../../support/chain.ts'

const hashOf = (text: string): Hex => keccakHex(utf8(text))

/** As far as the encoder looks at a block. */
function blockAt(number: number, transactions: readonly Uint8Array[]): Block {
  const header = {
    number: BigInt(number),
    parentHash: hashOf(`${number - 1}`),
    timestamp: 1_700_000_000n + BigInt(number),
  } as Block['header']
  const deposit = l1AttributesDeposit(l1AttributesAt(BigInt(number)))
  return { hash: hashOf(`${number}`), header, transactions: [deposit, ...transactions] }
}

const blobs: EncodeTarget = { kind: 'blobs', blobsPerTransactionMax: 2 }
const calldata: EncodeTarget = { kind: 'calldata', dataBytesMax: 1000 }
const noise = (bytes: number) => concatBytes(Uint8Array.of(2), new Uint8Array(randomBytes(bytes)))

t.test('a batch holds what the sequencer chose and leaves the deposits out', async (t) => {
  const user = l1AttributesDeposit(l1AttributesAt(99n))
  const block = blockAt(5, [user, Uint8Array.of(2, 7)])
  t.same(batchOf(block), {
    parentHash: hashOf('4'),
    epochNumber: 7n,
    epochHash: l1AttributesAt(0n).hash,
    timestamp: 1_700_000_005n,
    transactions: [Uint8Array.of(2, 7)],
  })
})

t.test(
  'random ranges read back through the derivation code, in blobs and in calldata',
  async () => {
    const transaction = fc
      .uint8Array({ minLength: 1, maxLength: 200 })
      .map((raw) => Uint8Array.of(2, ...raw))
    const ranges = fc.array(fc.array(transaction, { maxLength: 6 }), {
      minLength: 1,
      maxLength: 20,
    })
    fc.assert(
      fc.property(ranges, (range) => {
        const list = range.map((transactions, i) => blockAt(i + 1, transactions))
        const channel = encodeChannel(list)
        for (const target of [blobs, calldata]) {
          assert.equal(checkSubmissions(encodeSubmissions(channel, target), list), null)
        }
      }),
      { numRuns: 15 },
    )
  },
)

t.test('a large channel is spread over blobs and transactions, each blob filled', async (t) => {
  const list = [blockAt(1, [noise(2 * BLOB_FRAME_BYTES + 5000)])]
  const channel = encodeChannel(list)
  const submissions = encodeSubmissions(channel, blobs)
  t.same(
    submissions.map((submission) => (submission.kind === 'blobs' ? submission.blobs.length : 0)),
    [2, 1],
  )
  const [first] = submissions
  const filled = first?.kind === 'blobs' ? decodeBlob(first.blobs[0] as Uint8Array) : ''
  t.equal(filled.length, BLOB_DATA_BYTES_MAX)
  t.equal(checkSubmissions(submissions, list), null)
})

t.test('no calldata exceeds its limit', async (t) => {
  const channel = encodeChannel([blockAt(1, [noise(5000)])])
  const submissions = encodeSubmissions(channel, calldata)
  t.ok(submissions.length > 5)
  for (const submission of submissions) {
    t.ok(submission.kind === 'calldata' && submission.data.length <= 1000)
  }
})

t.test('the check notices every kind of damage', async (t) => {
  const list = [blockAt(1, [Uint8Array.of(2, 1)]), blockAt(2, [Uint8Array.of(2, 2)])]
  const submissions = encodeSubmissions(encodeChannel(list), calldata)
  const [whole] = submissions as [{ kind: 'calldata'; data: Uint8Array }]
  const change = (at: number, value: number) => {
    const data = Uint8Array.from(whole.data)
    data[at] = value
    return checkSubmissions([{ kind: 'calldata', data }], list)
  }
  t.equal(checkSubmissions(submissions, list), null)
  t.equal(change(0, 7), 'payload: unknown derivation version')
  t.equal(change(18, 1), 'frame: no channel is open')
  t.equal(change(whole.data.length - 1, 0), 'the channel does not complete')
  t.match(change(40, 0xff), /block 1/)
  t.equal(checkSubmissions(submissions, list.slice(0, 1)), 'the channel holds more than the blocks')
  t.match(checkSubmissions(submissions, [...list, blockAt(3, [])]), /block 3: missing/)
  t.match(
    checkSubmissions(submissions, [blockAt(1, []), list[1] as Block]),
    /reads back differently/,
  )
})

t.test('the same blocks always give the same bytes', async (t) => {
  const list = [blockAt(1, [Uint8Array.of(2, 1)])]
  t.equal(toHex(encodeChannel(list).bytes), toHex(encodeChannel(list).bytes))
  t.equal(encodeChannel(list).id, encodeChannel(list).id)
})
