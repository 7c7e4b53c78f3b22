/**
 * MODEL, 0x…0a01: model registration. Keeps a committed artefact as content-addressed code, so that it is part
 * of the state trie, provable, synced and paid once.
 *
 *   put(bytes chunk) returns (address)        stores `00 01 || payload`
 *   seal(bytes manifest) returns (bytes32)    checks the table the manifest binds; returns the model id
 *
 * Only ModelRegistry may call, by a plain CALL without value. Both are idempotent.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { OPENLEDGER } from '../genesis/addresses.ts'
import { MODEL_CHUNK_BYTES_MAX } from '../genesis/limits.ts'
import { decodeCorpus } from './corpus.ts'
import { corpusGas, putGas, sealGas } from './gas.ts'
import type { Precompile, PrecompileContext, PrecompileOutcome } from './host.ts'
import { decodeManifest, isChunk, MANIFEST_BYTES_MAX } from './manifest.ts'
import { codeAddress, codeByHash, readTable, storeCode } from './models.ts'
import { addressWord, decodeStrict, encodeAbi, selectorOf } from './util.ts'

const PUT_SELECTOR = 0x94f47146
const SEAL_SELECTOR = 0xe9a83101

/** Selector, offset and length around one `bytes`. */
const CALL_OVERHEAD = 4 + 64
const INPUT_BYTES_MAX = CALL_OVERHEAD + 32 + Math.max(MODEL_CHUNK_BYTES_MAX, MANIFEST_BYTES_MAX)

export const model: Precompile = async (context) => {
  const { input, frame } = context
  if (input.length > INPUT_BYTES_MAX) return halt('input is too long')
  if (!frame.isPlain) return halt('only a plain call may write')
  if (frame.isStatic) return halt('a static call may not write')
  if (frame.value !== 0n) return halt('takes no value')
  if (frame.caller.toString() !== OPENLEDGER.modelRegistry)
    return halt('only ModelRegistry may call')
  const selector = selectorOf(input)
  if (selector !== PUT_SELECTOR && selector !== SEAL_SELECTOR) return halt('unknown function')
  const argument = decodeStrict(input, (reader) => {
    reader.head(1)
    return reader.bytesAt(0)
  })
  if (!argument) return halt('malformed arguments')
  return selector === PUT_SELECTOR ? put(context, argument) : seal(context, argument)
}

async function put(context: PrecompileContext, chunk: Uint8Array): Promise<PrecompileOutcome> {
  if (chunk.length > MODEL_CHUNK_BYTES_MAX) return halt('chunk is too long')
  const gasUsed = putGas(chunk.length)
  if (gasUsed > context.gasLimit) return { kind: 'out-of-gas' }
  if (!isChunk(chunk)) return halt('chunk does not begin with 0001')
  const hash = keccak_256(chunk)
  if (!(await storeCode(context.evm, hash, chunk))) return halt('address is taken')
  const output = encodeAbi([{ word: addressWord(codeAddress(hash).bytes) }])
  return { kind: 'return', gasUsed, output }
}

async function seal(context: PrecompileContext, code: Uint8Array): Promise<PrecompileOutcome> {
  const manifest = decodeManifest(code)
  if (typeof manifest === 'string') return halt(manifest)
  const entryGas = sealGas(code.length, manifest) + (manifest.corpus ? corpusGas(0) : 0n)
  if (entryGas > context.gasLimit) return { kind: 'out-of-gas' }
  const tables = manifest.corpus ? await corpusTables(context, manifest.corpus) : []
  if (typeof tables === 'string') return halt(tables)
  const gasUsed = entryGas + corpusGas(tables.length) - corpusGas(0)
  if (gasUsed > context.gasLimit) return { kind: 'out-of-gas' }
  for (const [i, table] of tables.entries())
    if ((await codeByHash(context.evm, table)) === null) return halt(`table ${i} is not stored`)
  const table = await readTable(context.evm, manifest)
  if (typeof table === 'string') return halt(table)
  const hash = keccak_256(code)
  if (!(await storeCode(context.evm, hash, code))) return halt('address is taken')
  return { kind: 'return', gasUsed, output: encodeAbi([{ word: hash }]) }
}

/** Hashes of the unigram table of a stored corpus. */
async function corpusTables(
  { evm }: PrecompileContext,
  hash: Uint8Array,
): Promise<readonly Uint8Array[] | string> {
  const code = await codeByHash(evm, hash)
  return (code && decodeCorpus(code)?.tableHashes) ?? 'no such corpus'
}

function halt(reason: string): PrecompileOutcome {
  return { kind: 'halt', reason }
}
