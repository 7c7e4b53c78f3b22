/**
 * Nodes of the Merkle-Patricia trie and their RLP (yellow paper, appendix D). A child is null, a stub
 * (the hash of a node not loaded yet) or a node in memory; a node shorter than 32 bytes is embedded in
 * its parent, any other is referred to by its hash.
 */
import { keccak, toHex } from '../base/bytes.ts'
import { decodeRlp, encodeRlp, type RlpItem } from './rlp.ts'

export type Stub = { readonly stub: Uint8Array }
export type Child = TrieNode | Stub | null

/** `hash` is set on a node that was loaded (so is already stored). */
export type TrieNode =
  | { kind: 'leaf'; path: number[]; value: Uint8Array; hash?: Uint8Array | undefined }
  | { kind: 'extension'; path: number[]; child: TrieNode | Stub; hash?: Uint8Array | undefined }
  | { kind: 'branch'; children: Child[]; hash?: Uint8Array | undefined }

export function isStub(child: TrieNode | Stub): child is Stub {
  return 'stub' in child
}

/** Serialises `node`; new nodes below it of 32 bytes or more are appended to `out`. */
export function encodeNode(
  node: TrieNode,
  out: { hash: Uint8Array; rlp: Uint8Array }[],
): Uint8Array {
  return encodeRlp(itemOf(node, out))
}

/** How a parent refers to `child`: a hash, an embedded node, or the empty string. */
function childRef(child: Child, out: { hash: Uint8Array; rlp: Uint8Array }[]): RlpItem {
  if (child === null) return new Uint8Array(0)
  if (isStub(child)) return child.stub
  if (child.hash) return child.hash
  const item = itemOf(child, out)
  const rlp = encodeRlp(item)
  if (rlp.length < 32) return item
  const hash = keccak(rlp)
  out.push({ hash, rlp })
  return hash
}

export function decodeNode(rlp: Uint8Array, hash?: Uint8Array): TrieNode {
  return nodeOf(decodeRlp(rlp), hash)
}

export function nibblesOf(key: Uint8Array): number[] {
  const out = new Array<number>(key.length * 2)
  for (let i = 0; i < key.length; i++) {
    const byte = key[i] as number
    out[2 * i] = byte >> 4
    out[2 * i + 1] = byte & 15
  }
  return out
}

export function keyOfNibbles(nibbles: readonly number[]): Uint8Array {
  const out = new Uint8Array(nibbles.length / 2)
  for (let i = 0; i < out.length; i++) {
    out[i] = ((nibbles[2 * i] as number) << 4) | (nibbles[2 * i + 1] as number)
  }
  return out
}

function itemOf(node: TrieNode, out: { hash: Uint8Array; rlp: Uint8Array }[]): RlpItem {
  if (node.kind === 'leaf') return [packPath(node.path, true), node.value]
  if (node.kind === 'extension') return [packPath(node.path, false), childRef(node.child, out)]
  return [...node.children.map((child) => childRef(child, out)), new Uint8Array(0)]
}

function nodeOf(item: RlpItem, hash?: Uint8Array): TrieNode {
  if (Array.isArray(item) && item.length === 17) {
    return { kind: 'branch', children: item.slice(0, 16).map(childOf), hash }
  }
  if (Array.isArray(item) && item.length === 2 && item[0] instanceof Uint8Array) {
    const { path, leaf } = unpackPath(item[0])
    if (leaf) return { kind: 'leaf', path, value: item[1] as Uint8Array, hash }
    const child = childOf(item[1] as RlpItem)
    if (child) return { kind: 'extension', path, child, hash }
  }
  throw new Error(`damaged trie node ${hash ? toHex(hash) : '(embedded)'}`)
}

function childOf(item: RlpItem): Child {
  if (Array.isArray(item)) return nodeOf(item)
  return item.length ? { stub: item } : null
}

/** Hex-prefix encoding: flag nibble 2 for leaves, 1 for odd lengths. */
function packPath(path: readonly number[], leaf: boolean): Uint8Array {
  const odd = path.length & 1
  const flag = (leaf ? 2 : 0) | odd
  return keyOfNibbles(odd ? [flag, ...path] : [flag, 0, ...path])
}

function unpackPath(bytes: Uint8Array): { path: number[]; leaf: boolean } {
  const nibbles = nibblesOf(bytes)
  const flag = nibbles[0] ?? 0
  return { path: nibbles.slice(flag & 1 ? 1 : 2), leaf: (flag & 2) !== 0 }
}
