/**
 * The attribution table as the MODEL precompile stores it: contributors with their multipliers, then
 * the integer sums S_c, cut into chunks of code, and the seal manifest that binds them. Layouts:
 * genesis/README.md, "Precompiles".
 */
import { MODEL_CHUNK_BYTES_MAX } from '../../genesis/limits.ts'
import { decodeManifest, decodeTable } from '../../precompiles/manifest.ts'
import { bigintToBytes, concatBytes, fromHex, type Hex, keccak, toHex } from '../base/bytes.ts'

export type AttributionTable = {
  readonly contributors: readonly { readonly account: Hex; readonly multiplier: number }[]
  readonly k: number
  /** [contributors, k], row-major. */
  readonly sums: Int32Array
}

export type SealInput = {
  readonly table: AttributionTable
  /** Contributors paid by one receipt. */
  readonly top: number
  readonly baseHash: Hex
  readonly adapterHash: Hex
  readonly artefactHash: Hex
  readonly leavesRoot: Hex
  readonly manifestHash: Hex
  /** Hash of the corpus record (`corpus.ts`); zero when there is no verbatim channel. */
  readonly corpusHash: Hex
  readonly kernelSet: number
}

const CHUNK_TAG = Uint8Array.of(0, 1)
const SEAL_TAG = Uint8Array.of(0, 2)
const SEAL_VERSION = 2
/** Of the base's hash; then adapter, artefact, leaves root, training manifest, corpus. */
const HASHES_AT = 15

/** Chunks in order, then the manifest that names them; both exactly as stored. */
export function encodeSeal(input: SealInput): { chunks: Uint8Array[]; seal: Uint8Array } {
  const { contributors, k } = input.table
  const chunks = chunksOf(encodeTable(input.table))
  const seal = concatBytes(
    SEAL_TAG,
    Uint8Array.of(SEAL_VERSION),
    u32(k),
    u32(contributors.length),
    bigintToBytes(BigInt(input.top), 2),
    bigintToBytes(BigInt(chunks.length), 2),
    ...[
      input.baseHash,
      input.adapterHash,
      input.artefactHash,
      input.leavesRoot,
      input.manifestHash,
      input.corpusHash,
    ].map(fromHex),
    u32(input.kernelSet),
    ...chunks.map((chunk) => keccak(chunk)),
  )
  return { chunks, seal }
}

/** contributors x (account 20 || multiplier u32 big-endian), then contributors x k x int32 little-endian. */
export function encodeTable({ contributors, k, sums }: AttributionTable): Uint8Array {
  if (sums.length !== contributors.length * k) {
    throw new RangeError(
      `table of ${contributors.length} x ${k} needs ${contributors.length * k} sums, got ${sums.length}`,
    )
  }
  const heads = contributors.map(({ account, multiplier }) =>
    concatBytes(fromHex(account), u32(multiplier)),
  )
  const body = new Uint8Array(sums.length * 4)
  const view = new DataView(body.buffer)
  for (let i = 0; i < sums.length; i++) view.setInt32(i * 4, sums[i] as number, true)
  return concatBytes(...heads, body)
}

function chunksOf(table: Uint8Array): Uint8Array[] {
  const size = MODEL_CHUNK_BYTES_MAX - CHUNK_TAG.length
  const chunks: Uint8Array[] = []
  for (let at = 0; at < table.length; at += size) {
    chunks.push(concatBytes(CHUNK_TAG, table.subarray(at, at + size)))
  }
  return chunks
}

function u32(value: number): Uint8Array {
  return bigintToBytes(BigInt(value), 4)
}

/** What a model's seal and chunks hold. */
export type Sealed = {
  readonly k: number
  readonly top: number
  readonly accounts: readonly Hex[]
  readonly multipliers: Uint32Array
  /** int32 [contributors, k] */
  readonly sums: Int32Array
  readonly baseHash: Hex
  readonly adapterHash: Hex
  readonly leavesRoot: Hex
  readonly manifestHash: Hex
  /** Zero: it has none. */
  readonly corpusHash: Hex
}

/** A sealed table as the state has it. @param codeOf code by address @throws Error when it is not there or is none */
export function readSealed(seal: Uint8Array, codeOf: (address: Hex) => Uint8Array): Sealed {
  const manifest = decodeManifest(seal)
  if (typeof manifest === 'string') throw new Error(manifest)
  const payloads = manifest.chunkHashes.map((hash) =>
    codeOf(toHex(hash.slice(12))).subarray(CHUNK_TAG.length),
  )
  const table = decodeTable(concatBytes(...payloads), manifest)
  if (typeof table === 'string') throw new Error(table)
  const hashAt = (i: number): Hex =>
    toHex(seal.subarray(HASHES_AT + 32 * i, HASHES_AT + 32 * i + 32))
  return {
    ...table,
    accounts: table.accounts.map(toHex),
    baseHash: hashAt(0),
    adapterHash: hashAt(1),
    leavesRoot: hashAt(3),
    manifestHash: hashAt(4),
    corpusHash: hashAt(5),
  }
}
