/**
 * The thread behind `kzg.ts`: loads the trusted setup (seconds) and computes, so that a node's event
 * loop, which may have a block to make, never waits for either.
 */
import { parentPort } from 'node:worker_threads'
import { DasContextJs } from '@crate-crypto/node-eth-kzg'
import { messageOf } from '../base/errors.ts'

/** What a blob transaction is sent with. cells: 128 proofs a blob (EIP-7594); blob: one (EIP-4844). */
export type BlobSidecar = {
  readonly kind: 'cells' | 'blob'
  readonly blobs: readonly Uint8Array[]
  readonly commitments: readonly Uint8Array[]
  readonly proofs: readonly Uint8Array[]
}

/** cells: 128 proofs (EIP-7594); blob: one (EIP-4844); none: the commitment alone. */
export type KzgRequest = { readonly id: number } & (
  | { readonly blob: Uint8Array; readonly proofs: 'cells' | 'blob' | 'none' }
  | { readonly sidecar: BlobSidecar }
)

export type KzgAnswer = { readonly id: number } & (
  | { readonly ok: true; readonly commitment: Uint8Array; readonly proofs: readonly Uint8Array[] }
  | { readonly ok: false; readonly reason: string }
)

const CELLS_PER_BLOB = 128

const kzg = DasContextJs.create({ usePrecomp: true })

parentPort?.on('message', (request: KzgRequest) => {
  parentPort?.postMessage(answer(request))
})

function answer(request: KzgRequest): KzgAnswer {
  const { id } = request
  try {
    if ('sidecar' in request) {
      const reason = sidecarFault(kzg, request.sidecar)
      return reason === null
        ? { id, ok: true, commitment: new Uint8Array(0), proofs: [] }
        : { id, ok: false, reason }
    }
    const { blob, proofs } = request
    const commitment = kzg.blobToKzgCommitment(blob)
    if (proofs === 'none') return { id, ok: true, commitment, proofs: [] }
    if (proofs === 'blob') {
      return { id, ok: true, commitment, proofs: [kzg.computeBlobKzgProof(blob, commitment)] }
    }
    return { id, ok: true, commitment, proofs: kzg.computeCellsAndKzgProofs(blob).proofs }
  } catch (error) {
    return { id, ok: false, reason: messageOf(error) }
  }
}

/** null: every proof holds. @throws when something is no blob, point or proof */
function sidecarFault(context: DasContextJs, sidecar: BlobSidecar): string | null {
  const { kind, blobs, commitments, proofs } = sidecar
  const each = kind === 'cells' ? CELLS_PER_BLOB : 1
  if (blobs.length === 0) return 'there is no blob'
  if (commitments.length !== blobs.length || proofs.length !== blobs.length * each) {
    return `${blobs.length} blobs, ${commitments.length} commitments, ${proofs.length} proofs`
  }
  if (kind === 'blob') {
    const holds = context.verifyBlobKzgProofBatch([...blobs], [...commitments], [...proofs])
    return holds ? null : 'a blob proof is wrong'
  }
  const ofCell = <T>(list: readonly T[]): T[] =>
    list.flatMap((one) => Array<T>(CELLS_PER_BLOB).fill(one))
  const holds = context.verifyCellKzgProofBatch(
    ofCell(commitments),
    blobs.flatMap(() => [...Array(CELLS_PER_BLOB).keys()]),
    blobs.flatMap((blob) => context.computeCells(blob)),
    [...proofs],
  )
  return holds ? null : 'a cell proof is wrong'
}
