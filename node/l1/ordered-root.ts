/**
 * The root of an L1 block's transactions or receipts: a Merkle Patricia trie whose keys are
 * rlp(index) (Yellow Paper, appendix D). Built in one go from the whole list and then forgotten, so
 * it needs no database: nodes are nested lists, and a node of 32 bytes or more is replaced by its
 * hash.
 */
import { RLP } from '@ethereumjs/rlp'
import { type Hex, keccak, toHex } from '../base/bytes.ts'

type Entry = { readonly nibbles: readonly number[]; readonly value: Uint8Array }
type TrieNode = (Uint8Array | TrieNode)[]

const EMPTY = new Uint8Array(0)

export function orderedRoot(values: readonly Uint8Array[]): Hex {
  if (values.length === 0) return toHex(keccak(RLP.encode(EMPTY)))
  const entries = values.map((value, index) => ({ nibbles: nibblesOf(RLP.encode(index)), value }))
  return toHex(keccak(RLP.encode(nodeOf(entries, 0))))
}

/** The node under which all `entries` stand, which agree in their first `depth` nibbles. */
function nodeOf(entries: readonly Entry[], depth: number): TrieNode {
  const [first] = entries as readonly [Entry]
  if (entries.length === 1) return [pathOf(first.nibbles.slice(depth), true), first.value]
  const shared = sharedLength(entries, depth)
  if (shared > depth) {
    return [pathOf(first.nibbles.slice(depth, shared), false), reference(nodeOf(entries, shared))]
  }
  const children = Array.from({ length: 16 }, (_, nibble) => {
    const below = entries.filter((entry) => entry.nibbles[depth] === nibble)
    return below.length === 0 ? EMPTY : reference(nodeOf(below, depth + 1))
  })
  const ending = entries.find((entry) => entry.nibbles.length === depth)
  return [...children, ending?.value ?? EMPTY]
}

function reference(node: TrieNode): Uint8Array | TrieNode {
  const encoded = RLP.encode(node)
  return encoded.length < 32 ? node : keccak(encoded)
}

function sharedLength(entries: readonly Entry[], depth: number): number {
  const [first] = entries as readonly [Entry]
  let length = depth
  while (
    length < first.nibbles.length &&
    entries.every((entry) => entry.nibbles[length] === first.nibbles[length])
  ) {
    length++
  }
  return length
}

/** Hex-prefix encoding (appendix C). */
function pathOf(nibbles: readonly number[], isLeaf: boolean): Uint8Array {
  const odd = nibbles.length % 2
  const flag = (isLeaf ? 2 : 0) + odd
  const all = odd ? [flag, ...nibbles] : [flag, 0, ...nibbles]
  return Uint8Array.from({ length: all.length / 2 }, (_, i) => {
    return ((all[2 * i] as number) << 4) | (all[2 * i + 1] as number)
  })
}

function nibblesOf(bytes: Uint8Array): number[] {
  return [...bytes].flatMap((byte) => [byte >> 4, byte & 15])
}
