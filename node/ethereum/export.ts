/** The canonical blocks of a store as a chain file: the inverse of `import.ts`. A rollup's store will do as well. */
import { BlockArchive } from '../chain/archive.ts'
import { decodeEthereumBlock } from '../chain/block.ts'
import { readHeads } from '../chain/heads.ts'
import type { EthereumBlock } from '../chain/types.ts'
import { storeError } from '../store/errors.ts'
import type { Store } from '../store/store.ts'
import { writeChainFile } from './chain-file.ts'
import { chainFileError } from './errors.ts'

export type BlockRange = { readonly from: bigint; readonly to: bigint }

/** Default: from the block after genesis to the head. @throws NodeError chain-file, store-damaged */
export async function exportChainFile(
  store: Store,
  { path, from = 1n, to }: { readonly path: string } & Partial<BlockRange>,
  told: (number: bigint, part: number) => void = () => {},
): Promise<BlockRange> {
  const head = readHeads(store)?.unsafe.number
  if (head === undefined) throw chainFileError('the database holds no chain')
  const range = { from, to: to ?? head }
  if (range.from > range.to || range.to > head) {
    throw chainFileError(`blocks ${range.from} to ${range.to}: the chain has 0 to ${head}`)
  }
  await writeChainFile(path, canonicalBlocks(store, range, told))
  return range
}

function* canonicalBlocks(
  store: Store,
  { from, to }: BlockRange,
  told: (number: bigint, part: number) => void,
): Generator<EthereumBlock> {
  const archive = new BlockArchive(store, decodeEthereumBlock)
  for (let number = from; number <= to; number++) {
    const block = archive.blockAt(number)
    if (!block) throw storeError('store-damaged', `block ${number} is missing from the database`)
    yield block
    told(number, Number(number - from + 1n) / Number(to - from + 1n))
  }
}
