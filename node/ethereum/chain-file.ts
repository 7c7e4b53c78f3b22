/**
 * A chain as a file: RLP blocks one after the other, nothing between them, as geth exports and imports it.
 * Read and written as a stream, one block in memory at a time.
 */
import { open } from 'node:fs/promises'
import { concatBytes } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { decodeEthereumBlock, encodeBlock } from '../chain/block.ts'
import type { EthereumBlock } from '../chain/types.ts'
import { chainFileError } from './errors.ts'

/** Larger than any block: blob sidecars are not in it. */
const BLOCK_BYTES_MAX = 64 * 1024 * 1024
const READ_BYTES = 1024 * 1024

export type FileBlock = {
  readonly block: EthereumBlock
  /** Where the next one begins. */
  readonly offset: number
}

/** @throws NodeError chain-file, naming the byte at which the file ceases to be one. */
export async function* readChainFile(path: string): AsyncGenerator<FileBlock> {
  const file = await open(path).catch((error) => {
    throw chainFileError(`cannot read ${path}: ${messageOf(error)}`)
  })
  try {
    let buffer: Uint8Array = new Uint8Array(0)
    let offset = 0
    for (;;) {
      let size = itemSize(buffer)
      while (size === null || size > buffer.length) {
        if (size !== null && size > BLOCK_BYTES_MAX) {
          throw damaged(path, offset, `a block of ${size} bytes, at most ${BLOCK_BYTES_MAX}`)
        }
        const { bytesRead, buffer: more } = await file.read(new Uint8Array(READ_BYTES))
        if (bytesRead === 0) {
          if (buffer.length === 0) return
          throw damaged(path, offset, 'the file ends inside a block')
        }
        buffer = concatBytes(buffer, more.subarray(0, bytesRead))
        size = itemSize(buffer)
      }
      const block = decodeAt(path, offset, buffer.slice(0, size))
      buffer = buffer.subarray(size)
      offset += size
      yield { block, offset }
    }
  } finally {
    await file.close()
  }
}

/** Replaces the file. @throws NodeError chain-file */
export async function writeChainFile(path: string, blocks: Iterable<EthereumBlock>): Promise<void> {
  const file = await open(path, 'w').catch((error) => {
    throw chainFileError(`cannot write ${path}: ${messageOf(error)}`)
  })
  try {
    for (const block of blocks) await file.write(encodeBlock(block))
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Bytes of the RLP item that begins the buffer, prefix included; null while that cannot be told. */
function itemSize(bytes: Uint8Array): number | null {
  const prefix = bytes[0]
  if (prefix === undefined) return null
  if (prefix < 0xf8) return prefix < 0xc0 ? 1 : prefix - 0xbf
  const lengthBytes = prefix - 0xf7
  if (bytes.length < 1 + lengthBytes) return null
  const length = bytes.subarray(1, 1 + lengthBytes).reduce((sum, byte) => sum * 256 + byte, 0)
  return 1 + lengthBytes + length
}

function decodeAt(path: string, offset: number, bytes: Uint8Array): EthereumBlock {
  try {
    return decodeEthereumBlock(bytes)
  } catch (error) {
    throw damaged(path, offset, messageOf(error))
  }
}

function damaged(path: string, offset: number, why: string): Error {
  return chainFileError(`${path} is no chain at byte ${offset}: ${why}`)
}
