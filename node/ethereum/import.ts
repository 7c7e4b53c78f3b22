/**
 * Blocks of a file into a chain: those it has are passed over, so an import that was cut short goes on where it
 * stopped; the first that is not a block of this chain ends it, and what came before stays.
 */
import type { EthereumChain } from './chain.ts'
import { readChainFile } from './chain-file.ts'
import { chainFileError } from './errors.ts'

export type ImportProgress = {
  readonly number: bigint
  readonly imported: number
  /** Already there. */
  readonly known: number
  /** Bytes of the file behind us. */
  readonly offset: number
  readonly transactions: number
  readonly gas: bigint
}

/** @throws NodeError chain-file, naming block and field. */
export async function importChainFile(
  chain: EthereumChain,
  path: string,
  onProgress: (progress: ImportProgress) => void,
): Promise<ImportProgress> {
  let progress: ImportProgress = {
    number: chain.headRef('unsafe').number,
    imported: 0,
    known: 0,
    offset: 0,
    transactions: 0,
    gas: 0n,
  }
  for await (const { block, offset } of readChainFile(path)) {
    const { number, gasUsed } = block.header
    const result = await chain.importBlock(block)
    switch (result.kind) {
      case 'known':
        progress = { ...progress, number, offset, known: progress.known + 1 }
        break
      case 'imported':
        progress = {
          number,
          offset,
          imported: progress.imported + 1,
          known: progress.known,
          transactions: progress.transactions + block.transactions.length,
          gas: progress.gas + gasUsed,
        }
        break
      case 'unknownParent': {
        const head = chain.headRef('unsafe')
        throw chainFileError(
          `block ${number} (${block.hash}) follows ${result.parentHash}, the head is block ${head.number}, ${head.hash}`,
        )
      }
      case 'invalid': {
        const field = result.field ? `${result.field} is ` : ''
        throw chainFileError(
          `block ${number} (${block.hash}) is not valid: ${field}${result.reason}`,
        )
      }
    }
    onProgress(progress)
  }
  return progress
}
