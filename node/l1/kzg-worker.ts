/**
 * The thread behind `kzg.ts`: loads the trusted setup (seconds) and computes, so that a node's event
 * loop, which may have a block to make, never waits for either.
 */
import { parentPort } from 'node:worker_threads'
import { DasContextJs } from '@crate-crypto/node-eth-kzg'
import { messageOf } from '../base/errors.ts'

/** cells: 128 proofs (EIP-7594); blob: one (EIP-4844); none: the commitment alone. */
export type KzgRequest = {
  readonly id: number
  readonly blob: Uint8Array
  readonly proofs: 'cells' | 'blob' | 'none'
}

export type KzgAnswer = { readonly id: number } & (
  | { readonly ok: true; readonly commitment: Uint8Array; readonly proofs: readonly Uint8Array[] }
  | { readonly ok: false; readonly reason: string }
)

const kzg = DasContextJs.create({ usePrecomp: true })

parentPort?.on('message', (request: KzgRequest) => {
  parentPort?.postMessage(answer(request))
})

function answer({ id, blob, proofs }: KzgRequest): KzgAnswer {
  try {
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
