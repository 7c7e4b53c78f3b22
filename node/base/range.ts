/** The `Range` header of an HTTP request (RFC 9110, section 14), as far as files are served: one piece of bytes. */

/** [from, to); null without one, `none` when nothing of it is there. */
export function rangeOf(
  header: string | undefined,
  size: number,
): { from: number; to: number } | 'none' | null {
  const [, first, last] = header?.match(/^bytes=(\d*)-(\d*)$/) ?? []
  if (first === undefined || last === undefined || first + last === '') return null
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const to = first === '' || last === '' ? size : Math.min(size, Number(last) + 1)
  return from < to ? { from, to } : 'none'
}
