/** That a receipt pays a contributor for a row: the row's leaf under what the model's seal commits to. For browsers too. */
import type { Hex } from 'viem'
import { concatHex, hexToBytes, keccak256 } from 'viem/utils'
import { decodeCorpus } from '../../../precompiles/corpus.ts'
import { decodeManifest } from '../../../precompiles/manifest.ts'
import { decodeClaims } from '../../../precompiles/mix.ts'
import { treeClimb } from '../../../precompiles/tree.ts'
import type { PayoutTrace, TracedReceipt, TracedRow } from './types.ts'

/** Bytes of a seal before its leaves root, and of that. */
const LEAVES_ROOT_AT = 15 + 3 * 32
const CONTENT_AT = 16

/** @param index the contributor's row of the attribution table @throws Error saying what does not follow */
export function checkRow(
  trace: PayoutTrace,
  receipt: TracedReceipt,
  { row, index }: { row: TracedRow; index: number | null },
): void {
  const { modelId } = receipt.receipt
  const model = trace.models.find((one) => one.modelId === modelId)
  if (!model || keccak256(model.seal) !== modelId) throw new Error(`no seal of model ${modelId}`)
  const seal = hexToBytes(model.seal)
  const manifest = decodeManifest(seal)
  if (typeof manifest === 'string') throw new Error(manifest)
  if (row.channel === 'gradient') {
    const root = seal.subarray(LEAVES_ROOT_AT, LEAVES_ROOT_AT + 32)
    checkLeaf(row, { root, k: manifest.k, sketch: receipt.sketch, index })
    return
  }
  const named = manifest.corpus
  if (!named || !model.corpus || keccak256(model.corpus) !== hexOf(named))
    throw new Error('the corpus is not the one of the seal')
  const corpus = decodeCorpus(hexToBytes(model.corpus))
  const claims = decodeClaims(hexToBytes(receipt.claims), manifest.contributors)
  const claim = typeof claims === 'string' ? undefined : claims[row.claim]
  if (!corpus || claim?.kind !== row.channel)
    throw new Error(`the receipt has no ${row.channel} claim ${row.claim}`)
  const leaf = hexToBytes(row.leaf)
  const owner = new DataView(leaf.buffer).getUint32(8, true)
  if (owner !== claim.contributor || owner !== index) throw new Error(`the row is of ${owner}`)
  if (hexOf(leaf.subarray(CONTENT_AT)) !== row.rowHash) throw new Error('the leaf is another row')
  leads(row, { root: corpus.rowsRoot, at: claim.row, count: corpus.rows })
}

function checkLeaf(
  row: TracedRow & { channel: 'gradient' },
  { root, k, sketch, index }: { root: Uint8Array; k: number; sketch: Hex; index: number | null },
): void {
  const leaf = hexToBytes(row.leaf)
  const view = new DataView(leaf.buffer)
  if (leaf.length !== 40 + 2 * k || view.getUint32(0, true) !== row.row)
    throw new Error(`the leaf is not that of row ${row.row}`)
  if (view.getUint32(4, true) !== index) throw new Error(`row ${row.row} is somebody else's`)
  if (hexOf(leaf.subarray(8, 40)) !== row.rowHash) throw new Error('the leaf is another row')
  const entries = new Int8Array(hexToBytes(sketch))
  let score = 0
  for (let j = 0; j < k; j++) score += (entries[j] as number) * view.getInt16(40 + 2 * j, true)
  if (score !== row.score) throw new Error(`row ${row.row} scores ${score}, not ${row.score}`)
  leads(row, { root, at: row.row, count: row.count })
}

/** The Merkle tree of the protocol. */
function leads(
  { leaf, siblings }: TracedRow,
  { root, at, count }: { root: Uint8Array; at: number; count: number },
): void {
  const hash = keccak256(concatHex(['0x00', leaf]))
  const join = (left: Hex, right: Hex): Hex => keccak256(concatHex(['0x01', left, right]))
  const top = treeClimb(siblings, { leaf: hash, at, count }, join)
  if (top !== hexOf(root)) throw new Error(`the leaf leads to ${top}, not to ${hexOf(root)}`)
}

function hexOf(bytes: Uint8Array): Hex {
  return `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
