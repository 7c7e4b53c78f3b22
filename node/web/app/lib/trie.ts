/**
 * Merkle-Patricia proofs checked here (eth_getProof, EIP-1186): what stands under a key of a trie with a given root. Each node's
 * hash is in the one above it, so nobody but the root's author can have made them.
 */
import { fromRlp, hexToBytes, keccak256 } from 'viem'
import type { Hex } from './types.ts'

type Node = readonly (Hex | Node)[]

/**
 * @param key before hashing: an address or a slot
 * @returns the RLP of the value, or null when the key is proven to hold nothing
 * @throws Error naming what of the proof is wrong
 */
export function proven(root: Hex, key: Hex, proof: readonly Hex[]): Hex | null {
  const path = nibbles(keccak256(key))
  let at = 0
  let next: Hex | Node = root
  const rest = [...proof]
  for (;;) {
    if (typeof next === 'string' && next === '0x') return null
    const node = typeof next === 'string' ? opened(next, rest.shift()) : next
    if (node.length === 17) {
      if (at === path.length) return node[16] as Hex
      next = node[path[at++] as number] as Hex | Node
    } else if (node.length === 2) {
      const [encoded, value] = node as readonly [Hex, Hex | Node]
      const { isLeaf, part } = compact(encoded)
      const fits = part.every((nibble, i) => nibble === path[at + i])
      if (!fits || (isLeaf && at + part.length !== path.length)) return null
      if (isLeaf) return value as Hex
      at += part.length
      next = value
    } else throw new Error(`a node of the proof has ${node.length} items`)
  }
}

function opened(hash: Hex, bytes: Hex | undefined): Node {
  if (bytes === undefined) throw new Error(`the proof lacks the node ${hash}`)
  if (keccak256(bytes) !== hash) throw new Error(`a node of the proof is not ${hash}`)
  return fromRlp(bytes, 'hex') as Node
}

const nibbles = (hex: Hex): number[] =>
  [...hexToBytes(hex)].flatMap((byte) => [byte >> 4, byte & 15])

/** Hex-prefix encoding: the first nibble says leaf and oddness. */
function compact(encoded: Hex): { isLeaf: boolean; part: number[] } {
  const [flag = 0, ...all] = nibbles(encoded)
  return { isLeaf: flag >= 2, part: flag % 2 === 1 ? all : all.slice(1) }
}
