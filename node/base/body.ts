/** The body of an HTTP request, bounded while it arrives. */

/** null when it is longer than `bytesMax`: what is left of it is not waited for. */
export async function readBody(
  request: AsyncIterable<Uint8Array>,
  bytesMax: number,
): Promise<Buffer | null> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    if (length > bytesMax) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
