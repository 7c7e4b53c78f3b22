/** A file as it is read, a chunk at a time; each is valid until the next. */
import type { FileHandle } from 'node:fs/promises'
import { ContentError } from './errors.ts'
import { CONTENT_BYTES_MAX, COPY_CHUNK_BYTES } from './options.ts'

/** @throws ContentError `content-too-large` */
export async function* chunksOf(file: FileHandle, path: string): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(COPY_CHUNK_BYTES)
  for (let size = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size)
    if (bytesRead === 0) return
    size += bytesRead
    if (size > CONTENT_BYTES_MAX) throw tooLarge(path)
    yield buffer.subarray(0, bytesRead)
  }
}

export function tooLarge(name: string): ContentError {
  const why = `${name} has more than ${CONTENT_BYTES_MAX} bytes`
  return new ContentError('content-too-large', why, { name })
}
