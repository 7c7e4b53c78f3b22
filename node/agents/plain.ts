/** Values of the node as JSON: bigints become decimal strings. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item)),
  )
}
