/**
 * The public derivation vectors (kona, op-node, base, viem), every file and every key, through our own code:
 *
 *   node test/conformance/derivation.ts [folder with SOURCE.md]
 *
 * A key is either checked, byte for byte, or named with the reason why this chain does not have it. An unknown key
 * fails: somebody added vectors that nobody looked at.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RLP } from '@ethereumjs/rlp'
import { sha256 } from '@noble/hashes/sha2.js'
import { OP } from '../../genesis/addresses.ts'
import {
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  keccakHex,
  toHex,
} from '../../node/base/bytes.ts'
import {
  l1AttributesSourceHash,
  upgradeSourceHash,
  userDepositSourceHash,
} from '../../node/chain/deposit.ts'
import { fastLzSize } from '../../node/chain/fastlz.ts'
import { decodeExtraData, encodeExtraData, l1FeeOf } from '../../node/chain/fees.ts'
import { decodeL1Attributes, encodeL1Attributes } from '../../node/chain/l1-attributes.ts'
import { outputRootOf } from '../../node/chain/output.ts'
import { decodeBatch, encodeBatch, nextBatch } from '../../node/derive/batch.ts'
import { BLOB_BYTES, decodeBlob, encodeBlob } from '../../node/derive/blob.ts'
import { decompressChannel } from '../../node/derive/compression.ts'
import { decodeDepositLog } from '../../node/derive/deposits.ts'
import { decodeFrame, decodePayload, encodePayload } from '../../node/derive/frame.ts'
import { parseTransaction, senderOf } from '../../node/l1/transaction.ts'

/** Beside the checkout, where there are any. */
export const VECTORS_FOLDER: string = join(
  import.meta.dirname,
  '../../../shared/conformance/derivation',
)

export type Outcome = {
  readonly name: string
  readonly checked: number
  /** What this chain does not have, with the reason. */
  readonly left: readonly string[]
}

// biome-ignore lint/suspicious/noExplicitAny: the vectors are foreign JSON, each checker says what it reads
type Vector = any
type Check = (vector: Vector) => string | undefined

/** Checks one vector of a key; a string says why it is left out. */
const CHECKS: Readonly<Record<string, Check>> = {
  brotli: ({ compressed, decompressed }) => {
    const channel = concatBytes(Uint8Array.of(1), fromHex(compressed))
    assert.equal(toHex(decompressChannel(channel) ?? new Uint8Array()), decompressed)
    return undefined
  },
  frames: (vector) => {
    const bytes = fromHex(vector.payload ?? vector.frame)
    if (vector.payload) {
      const decoded = decodePayload(bytes)
      assert.equal(decoded.ok, !vector.error)
      if (decoded.ok) {
        assert.equal(decoded.frames.length, vector.count)
        assert.deepEqual(encodePayload(decoded.frames), bytes)
      }
      return undefined
    }
    const decoded = decodeFrame(bytes, 0)
    assert.equal(typeof decoded === 'string', vector.error === true)
    if (typeof decoded === 'string') return undefined
    const { frame, end } = decoded
    assert.equal(end, bytes.length)
    assert.deepEqual(
      [frame.channelId, frame.number, frame.data.length, frame.isLast],
      [vector.channelId, vector.frameNumber, vector.dataLength, vector.isLast],
    )
    assert.deepEqual(encodePayload([frame]).subarray(1), bytes)
    return undefined
  },
  deposit_event_to_tx: ({ topics, data, logIndex, l1BlockHash, tx }) => {
    const log = { address: OP.l1Block, topics, data: fromHex(data), logIndex }
    const raw = decodeDepositLog(log, l1BlockHash)
    assert.equal(typeof raw === 'string' ? raw : toHex(raw), tx)
    return undefined
  },
  deposit_l2_tx_hash: ({ l1BlockHash, logIndex, from, to, opaqueData, l2Tx, l2TxHash }) => {
    const topic = (address: Hex): Hex => `0x${address.slice(2).padStart(64, '0')}`
    const opaque = fromHex(opaqueData)
    const word = (value: number) => fromHex(`0x${value.toString(16).padStart(64, '0')}`)
    const padding = new Uint8Array((32 - (opaque.length % 32)) % 32)
    const log = {
      address: OP.l1Block,
      topics: [OP.l1Block, topic(from), topic(to), topic('0x0')],
      data: concatBytes(word(32), word(opaque.length), opaque, padding),
      logIndex,
    }
    const raw = decodeDepositLog(log, l1BlockHash)
    assert.equal(typeof raw === 'string' ? raw : toHex(raw), l2Tx)
    assert.equal(keccakHex(raw as Uint8Array), l2TxHash)
    return undefined
  },
  source_hash: ({ domain, l1BlockHash, logIndex, sequenceNumber, intent, sourceHash }) => {
    const found =
      domain === 0
        ? userDepositSourceHash(l1BlockHash, logIndex)
        : domain === 1
          ? l1AttributesSourceHash(l1BlockHash, BigInt(sequenceNumber))
          : upgradeSourceHash(intent)
    assert.equal(found, sourceHash)
    return undefined
  },
  l1_attributes_calldata: ({ fork, calldata, expect }) => {
    if (fork !== 'isthmus') return `${fork}: this chain is at Isthmus from genesis`
    // Our decoder takes no operator fee; the vector has one, so it is compared with that part zero.
    const data = fromHex(calldata)
    assert.throws(() => decodeL1Attributes(data), /operator fee/)
    const plain = concatBytes(data.subarray(0, 164), new Uint8Array(12))
    const attributes = decodeL1Attributes(plain)
    assert.deepEqual(encodeL1Attributes(attributes), plain)
    assert.deepEqual(attributes, {
      number: BigInt(expect.number),
      timestamp: BigInt(expect.time),
      baseFee: BigInt(expect.baseFee),
      blobBaseFee: BigInt(expect.blobBaseFee),
      hash: expect.blockHash,
      sequenceNumber: BigInt(expect.sequenceNumber),
      batcher: `0x${expect.batcherHash.slice(26)}`,
      baseFeeScalar: expect.baseFeeScalar,
      blobBaseFeeScalar: expect.blobBaseFeeScalar,
    })
    return undefined
  },
  fastlz_size: ({ data, fill, length, fastLzSize: expected }) => {
    const bytes = data ? fromHex(data) : new Uint8Array(length).fill(Number(fill))
    assert.equal(fastLzSize(bytes), expected)
    return undefined
  },
  l1_fee: ({ fork, rawTx, txHash, l1Fee, l1GasUsed, ...prices }) => {
    if (fork !== 'fjord') return `${fork}: the Fjord formula holds from genesis`
    const raw = fromHex(rawTx)
    assert.equal(keccakHex(raw), txHash)
    const { fee, gasUsed } = l1FeeOf(raw, {
      baseFee: BigInt(prices.l1BaseFee),
      blobBaseFee: BigInt(prices.blobBaseFee),
      baseFeeScalar: Number(prices.baseFeeScalar),
      blobBaseFeeScalar: Number(prices.blobBaseFeeScalar),
    })
    assert.deepEqual([fee, gasUsed], [BigInt(l1Fee), BigInt(l1GasUsed)])
    return undefined
  },
  eip1559_extra_data: ({ fork, extraData, denominator, elasticity }) => {
    const decoded = decodeExtraData(fromHex(extraData))
    if (fork !== 'holocene') {
      assert.equal(decoded, null)
      return `${fork}: version 0 only; refused`
    }
    assert.deepEqual(decoded, { denominator, elasticity })
    assert.equal(toHex(encodeExtraData({ denominator, elasticity })), extraData)
    return undefined
  },
  operator_fee: ({ fork }) => `${fork}: there is no operator fee`,
  output_root_v0: ({ stateRoot, messagePasserStorageRoot, blockHash, outputRoot }) => {
    const header = { stateRoot, withdrawalsRoot: messagePasserStorageRoot }
    assert.equal(outputRootOf({ hash: blockHash, header: header as never }), outputRoot)
    return undefined
  },
  withdrawal_hash: () => 'a contract computes it: test/genesis/portal.test.ts',
  withdrawal_storage_slot: () => 'a contract computes it: test/genesis/op-predeploys.test.ts',
  address_alias: () => 'a contract computes it: test/genesis/portal.test.ts',
}

/** @throws AssertionError on the first difference */
export function runDerivationVectors(folder: string): Outcome[] {
  const read = (name: string): Buffer => readFileSync(join(folder, name))
  const vectors = JSON.parse(read('vectors.json').toString())
  const expected = JSON.parse(read('expected.json').toString())
  const { singular_batch, blob_codec_v0, ...lists } = vectors
  const outcomes = Object.entries<Vector[]>(lists).map(([name, list]) => {
    const check = CHECKS[name]
    assert.ok(check, `vectors.json has a key '${name}' that nothing checks`)
    const left = list.map(check).filter((reason) => reason !== undefined)
    return { name, checked: list.length - left.length, left }
  })
  const one = (name: string, run: () => void): Outcome => {
    run()
    return { name, checked: 1, left: [] }
  }
  return [
    ...outcomes,
    one('singular_batch', () => {
      for (const batch of [singular_batch].flat()) checkSingularBatch(batch, vectors.brotli)
    }),
    { ...one('blob_codec_v0', () => {}), checked: checkBlobCodec(blob_codec_v0) },
    one('raw_batcher_tx.hex', () =>
      checkBatcherTransaction(read('raw_batcher_tx.hex'), expected['raw_batcher_tx.hex']),
    ),
    one('batch.hex', () => {
      const channel = fromHex(`0x${read('batch.hex').toString().trim()}`)
      checkSpanChannel(channel, expected['batch.hex'])
    }),
    one('raw_batch.hex', () => {
      const body = new Uint8Array(read('raw_batch.hex'))
      assert.equal(hashOf(body), expected['raw_batch.hex'].sha256)
      assert.equal(decodeBatch(concatBytes(Uint8Array.of(1), body)), 'span batch')
    }),
  ]
}

function checkSingularBatch(expected: Vector, brotli: Vector[]): void {
  const channel = fromHex(brotli[1].decompressed)
  const next = nextBatch({ id: '0x', bytes: channel, offset: 0 })
  assert.equal(next.kind, 'batch')
  if (next.kind !== 'batch') return
  const { batch, reader } = next
  assert.equal(reader.offset, channel.length)
  assert.deepEqual(
    [batch.parentHash, batch.epochNumber, batch.epochHash, batch.timestamp],
    [
      expected.parentHash,
      BigInt(expected.epochNumber),
      expected.epochHash,
      BigInt(expected.timestamp),
    ],
  )
  assert.deepEqual(
    batch.transactions.map((raw) => [raw.length, keccakHex(raw)]),
    expected.transactionHashes.map((hash: Hex, i: number) => [
      Number(expected.transactionLengths[i]),
      hash,
    ]),
  )
  const encoded = encodeBatch(batch)
  assert.equal(keccakHex(encoded.subarray(1)), expected.batch_keccak256_without_version_byte)
  assert.deepEqual(RLP.encode(encoded), channel)
}

function checkBlobCodec({ decode, encodeRejects, maxDataLength }: Vector): number {
  for (const { name, blobPrefix, data, dataLength, dataFill, error } of decode) {
    const blob = new Uint8Array(BLOB_BYTES)
    blob.set(fromHex(blobPrefix))
    const decoded = decodeBlob(blob)
    assert.equal(typeof decoded === 'string', error !== undefined, name)
    if (typeof decoded === 'string') continue
    const expected = data ? fromHex(data) : new Uint8Array(dataLength).fill(Number(dataFill))
    assert.deepEqual(decoded, expected, name)
    assert.deepEqual(encodeBlob(decoded), blob, name)
  }
  assert.equal(decodeBlob(encodeBlob(new Uint8Array(maxDataLength).fill(7))).length, maxDataLength)
  for (const { dataLength } of encodeRejects) {
    assert.throws(() => encodeBlob(new Uint8Array(dataLength)), RangeError)
  }
  return decode.length + encodeRejects.length + 1
}

/** L1 transaction -> sender -> payload -> frame -> channel -> span batch, refused. */
function checkBatcherTransaction(file: Buffer, expected: Vector): void {
  const raw = new Uint8Array(file)
  assert.equal(raw.length, expected.length)
  assert.equal(keccakHex(raw), expected.tx_hash)
  const transaction = parseTransaction(asJson(raw))
  assert.equal(transaction.hash, expected.tx_hash)
  assert.deepEqual(transaction.raw, raw)
  assert.equal(transaction.to, expected.to)
  assert.equal(senderOf(transaction), expected.recovered_sender)
  assert.equal(hashOf(transaction.input), expected.calldata_sha256)
  const payload = decodePayload(transaction.input)
  assert.ok(payload.ok)
  assert.deepEqual(
    payload.frames.map(({ channelId, number, data, isLast }) => ({
      channel_id: channelId,
      frame_number: number,
      data_length: data.length,
      is_last: isLast,
      data_sha256: hashOf(data),
    })),
    expected.frames,
  )
  checkSpanChannel(concatBytes(...payload.frames.map(({ data }) => data)), expected)
}

function checkSpanChannel(channel: Uint8Array, expected: Vector): void {
  if (expected.channel_sha256) assert.equal(hashOf(channel), expected.channel_sha256)
  const content = decompressChannel(channel)
  assert.ok(content)
  assert.equal(content.length, expected.decompressed_length)
  assert.equal(hashOf(content), expected.decompressed_sha256)
  const item = RLP.decode(content) as Uint8Array
  assert.equal(item.length, expected.item_length)
  assert.equal(hashOf(item.subarray(1)), expected.span_batch_sha256_without_version)
  const next = nextBatch({ id: '0x', bytes: content, offset: 0 })
  assert.deepEqual(next, { kind: 'fault', fault: 'span batch' })
}

/** As an L1 endpoint shows a type-2 transaction. */
function asJson(raw: Uint8Array): Record<string, unknown> {
  const fields = RLP.decode(raw.subarray(1)) as Uint8Array[]
  const quantity = (i: number): Hex => `0x${bytesToBigint(fields[i] as Uint8Array).toString(16)}`
  return {
    type: '0x2',
    chainId: quantity(0),
    nonce: quantity(1),
    maxPriorityFeePerGas: quantity(2),
    maxFeePerGas: quantity(3),
    gas: quantity(4),
    to: toHex(fields[5] as Uint8Array),
    value: quantity(6),
    input: toHex(fields[7] as Uint8Array),
    accessList: [],
    yParity: quantity(9),
    r: quantity(10),
    s: quantity(11),
  }
}

function hashOf(bytes: Uint8Array): string {
  return toHex(sha256(bytes)).slice(2)
}

if (import.meta.main) {
  const folder = process.argv[2] ?? VECTORS_FOLDER
  if (!existsSync(folder)) {
    console.error(`${folder} is absent; name the folder with vectors.json`)
    process.exit(1)
  }
  for (const { name, checked, left } of runDerivationVectors(folder)) {
    console.log(`${name}: ${checked} checked${left.length > 0 ? `; not: ${left.join('; ')}` : ''}`)
  }
}
