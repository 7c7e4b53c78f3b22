/**
 * A blob transaction as it is sent: the transaction with its blobs, commitments and proofs (EIP-4844, since
 * Osaka EIP-7594 with cell proofs). The sidecar is checked against the transaction's versioned hashes and
 * taken off: blocks hold the transaction alone.
 *
 *   03 || rlp([tx, blobs, commitments, proofs])              one proof a blob
 *   03 || rlp([tx, 1, blobs, commitments, cell proofs])      128 proofs a blob
 */
import { concatBytes, toHex } from '../base/bytes.ts'
import { TxError } from '../chain/errors.ts'
import { bytesOf, decodeRlp, encodeRlp, listOf, RlpError, type RlpItem } from '../chain/rlp.ts'
import { type BlobSidecar, verifySidecar } from '../l1/kzg.ts'

const BLOB_TYPE = 3
/** Of the transaction in its own RLP. */
const VERSIONED_HASHES_AT = 10
const BLOBS_MAX = 128

/** The transaction as it stands in a block; other types come back as they are. @throws TxError */
export async function openBlobTransaction(sent: Uint8Array): Promise<Uint8Array> {
  if (sent[0] !== BLOB_TYPE) return sent
  const { tx, sidecar, hashes } = attempt(() => unwrap(sent))
  if (!sidecar) throw refuse('a blob transaction must come with its blobs, commitments and proofs')
  const result = await verifySidecar(sidecar)
  if (!result.ok) throw refuse(`the blobs do not fit their proofs: ${result.reason}`)
  if (result.versionedHashes.join() !== hashes.join()) {
    throw refuse(`the blobs have versioned hashes ${result.versionedHashes}, not ${hashes}`)
  }
  return tx
}

function unwrap(sent: Uint8Array): {
  tx: Uint8Array
  hashes: readonly string[]
  sidecar: BlobSidecar | null
} {
  const outer = listOf(decodeRlp(sent.subarray(1)), 'blob transaction')
  const isWrapped = Array.isArray(outer[0])
  const body = isWrapped ? listOf(outer[0], 'transaction') : outer
  const tx = concatBytes(Uint8Array.of(BLOB_TYPE), encodeRlp(body))
  const hashes = listOf(body[VERSIONED_HASHES_AT], 'versioned hashes').map((hash) =>
    toHex(bytesOf(hash, 'versioned hash', 32)),
  )
  if (!isWrapped) return { tx, hashes, sidecar: null }
  const isCells = outer.length === 5
  if (isCells && toHex(bytesOf(outer[1], 'wrapper version')) !== '0x01') {
    throw new RlpError('the wrapper version is not 1')
  }
  if (!isCells && outer.length !== 4) throw new RlpError(`a wrapper of ${outer.length} items`)
  const [blobs, commitments, proofs] = outer.slice(isCells ? 2 : 1)
  return {
    tx,
    hashes,
    sidecar: {
      kind: isCells ? 'cells' : 'blob',
      blobs: bytesList(blobs, 'blobs', 131_072),
      commitments: bytesList(commitments, 'commitments', 48),
      proofs: bytesList(proofs, 'proofs', 48),
    },
  }
}

function bytesList(item: RlpItem | undefined, name: string, size: number): Uint8Array[] {
  const items = listOf(item, name)
  if (items.length > BLOBS_MAX * 128) throw new RlpError(`${items.length} ${name}`)
  return items.map((one) => bytesOf(one, name, size))
}

function attempt<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof RlpError) throw refuse(error.message)
    throw error
  }
}

function refuse(message: string): TxError {
  return new TxError({ code: 'malformed', message })
}
