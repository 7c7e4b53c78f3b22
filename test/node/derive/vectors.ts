/** The public vectors, typed as far as the tests need. */
import { readFileSync } from 'node:fs'
import type { Hex } from '../../../node/base/bytes.ts'

type Vectors = {
  frames: {
    name: string
    frame?: Hex
    payload?: Hex
    error?: boolean
    count?: number
    channelId?: Hex
    frameNumber?: number
    dataLength?: number
    isLast?: boolean
  }[]
  blob_codec_v0: {
    decode: { name: string; blobPrefix: Hex; data?: Hex; dataLength?: number; error?: string }[]
  }
  singular_batch: {
    parentHash: Hex
    epochNumber: Hex
    epochHash: Hex
    timestamp: Hex
    transactionLengths: number[]
    transactionHashes: Hex[]
  }
  brotli: { compressed: Hex; decompressed: Hex }[]
  deposit_event_to_tx: {
    name: string
    l1BlockHash: Hex
    logIndex: number
    topics: Hex[]
    data: Hex
    tx: Hex
  }[]
  deposit_l2_tx_hash: {
    l1BlockHash: Hex
    logIndex: number
    from: Hex
    to: Hex
    opaqueData: Hex
    l2Tx: Hex
    l2TxHash: Hex
  }[]
}

const folder = new URL('../../vectors/derivation/', import.meta.url)

export const vectors: Vectors = JSON.parse(readFileSync(new URL('vectors.json', folder), 'utf8'))

/** A signed transaction of OP Mainnet's batcher. */
export const opMainnetBatcherTx: Uint8Array = new Uint8Array(
  readFileSync(new URL('op-mainnet-batcher-tx.bin', folder)),
)
