/**
 * The Merkle-Patricia trie as execution needs it: opened at a root, read and changed in memory with
 * nodes loaded when a path first needs them, and committed once: every changed node is hashed exactly
 * once and no intermediate root leaves garbage in an archive. (One `put` at a time through
 * `@ethereumjs/mpt` hashes each path anew; the tests compare the two.)
 *
 * Only prefix-free key sets are stored (hashes, RLP indices), so no branch ever carries a value.
 * Yellow paper, appendix D. Reads are synchronous: `load` gives the RLP of a node by its hash.
 */

import { orderedTrieRoot } from '../../native/index.ts'
import { bytesEqual, fromHex, keccak, toHex } from '../base/bytes.ts'
import { crypto } from '../base/crypto.ts'
import { assert } from '../base/errors.ts'
import { encodeRlp, integer } from './rlp.ts'
import {
  type Child,
  decodeNode,
  encodeNode,
  isStub,
  keyOfNibbles,
  nibblesOf,
  type TrieNode,
} from './trie-node.ts'

/** keccak256(rlp("")): the root of nothing. */
export const EMPTY_ROOT: Uint8Array = fromHex(
  '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421',
)

/** The RLP of the node with this hash, or undefined when the database lacks it. */
export type LoadNode = (hash: Uint8Array) => Uint8Array | undefined

export type TrieCommit = { root: Uint8Array; nodes: { hash: Uint8Array; rlp: Uint8Array }[] }

export class Trie {
  readonly #load: LoadNode
  #root: Child

  constructor(load: LoadNode, root: Uint8Array = EMPTY_ROOT) {
    this.#load = load
    this.#root = bytesEqual(root, EMPTY_ROOT) ? null : { stub: root }
  }

  get(key: Uint8Array): Uint8Array | null {
    const path = nibblesOf(key)
    let node = this.#open(this.#root)
    for (let at = 0; node; ) {
      if (node.kind === 'leaf') return samePath(node.path, path, at) ? node.value : null
      if (node.kind === 'extension') {
        if (!startsWith(path, at, node.path)) return null
        at += node.path.length
        node = this.#open(node.child)
      } else {
        node = this.#open(node.children[path[at] as number] ?? null)
        at++
      }
    }
    return null
  }

  /** An empty value deletes. */
  put(key: Uint8Array, value: Uint8Array): void {
    const path = nibblesOf(key)
    this.#root = value.length
      ? this.#insert(this.#root, path, value)
      : this.#remove(this.#root, path)
  }

  delete(key: Uint8Array): void {
    this.#root = this.#remove(this.#root, nibblesOf(key))
  }

  /** The root over what is there now, and the nodes that are new. */
  commit(): TrieCommit {
    if (this.#root === null) return { root: EMPTY_ROOT, nodes: [] }
    if (isStub(this.#root)) return { root: this.#root.stub, nodes: [] }
    const nodes: TrieCommit['nodes'] = []
    const rlp = encodeNode(this.#root, nodes)
    const root = this.#root.hash ?? keccak(rlp)
    if (!this.#root.hash) nodes.push({ hash: root, rlp })
    this.#root = { stub: root }
    return { root, nodes }
  }

  /** RLP of the nodes from the root to `key`, or to where its absence shows (EIP-1186); embedded
   * nodes are inside their parent. Commit first. */
  prove(key: Uint8Array): Uint8Array[] {
    const path = nibblesOf(key)
    const proof: Uint8Array[] = []
    let child = this.#root
    for (let at = 0; child; ) {
      assert(!isStub(child) || child.stub.length === 32, 'a stub is a hash')
      const node: TrieNode | null = this.#open(child)
      if (!node) break
      if (isStub(child)) proof.push(this.#load(child.stub) as Uint8Array)
      if (node.kind === 'leaf') break
      if (node.kind === 'extension') {
        if (!startsWith(path, at, node.path)) break
        at += node.path.length
        child = node.child
      } else {
        child = node.children[path[at] as number] ?? null
        at++
      }
    }
    return proof
  }

  /** Every key and value in key order. */
  *entries(): Generator<[key: Uint8Array, value: Uint8Array]> {
    yield* this.#walk(this.#root, [])
  }

  *#walk(child: Child, prefix: readonly number[]): Generator<[Uint8Array, Uint8Array]> {
    const node = this.#open(child)
    if (!node) return
    if (node.kind === 'leaf') yield [keyOfNibbles([...prefix, ...node.path]), node.value]
    else if (node.kind === 'extension') yield* this.#walk(node.child, [...prefix, ...node.path])
    else for (let i = 0; i < 16; i++) yield* this.#walk(node.children[i] ?? null, [...prefix, i])
  }

  #open(child: Child): TrieNode | null {
    if (child === null || !isStub(child)) return child
    const rlp = this.#load(child.stub)
    if (!rlp) throw new Error(`trie node ${toHex(child.stub)} is not in the database`)
    return decodeNode(rlp, child.stub)
  }

  /** Nodes are never changed in place: a change returns a new node without a hash. */
  #insert(child: Child, path: number[], value: Uint8Array): Child {
    const node = this.#open(child)
    if (!node) return { kind: 'leaf', path, value }
    if (node.kind === 'branch') {
      assert(path.length > 0, 'keys are prefix-free')
      const children = node.children.slice()
      const index = path[0] as number
      children[index] = this.#insert(children[index] ?? null, path.slice(1), value)
      return { kind: 'branch', children }
    }
    const shared = sharedLength(node.path, path)
    if (node.kind === 'leaf' && shared === path.length && shared === node.path.length) {
      return bytesEqual(node.value, value) ? child : { kind: 'leaf', path, value }
    }
    if (node.kind === 'extension' && shared === node.path.length) {
      const below = this.#insert(node.child, path.slice(shared), value)
      return { kind: 'extension', path: node.path, child: below as NonNullable<Child> }
    }
    assert(shared < path.length && shared < node.path.length, 'keys are prefix-free')
    const children: Child[] = new Array<Child>(16).fill(null)
    children[node.path[shared] as number] = withoutPrefix(node, shared + 1)
    children[path[shared] as number] = { kind: 'leaf', path: path.slice(shared + 1), value }
    const branch: TrieNode = { kind: 'branch', children }
    return shared ? { kind: 'extension', path: path.slice(0, shared), child: branch } : branch
  }

  #remove(child: Child, path: number[]): Child {
    const node = this.#open(child)
    if (!node) return null
    if (node.kind === 'leaf') return samePath(node.path, path, 0) ? null : child
    if (node.kind === 'extension') {
      if (!startsWith(path, 0, node.path)) return child
      const below = this.#remove(node.child, path.slice(node.path.length))
      return below === node.child ? child : this.#prefixed(node.path, below)
    }
    const index = path[0] as number
    const below = this.#remove(node.children[index] ?? null, path.slice(1))
    if (below === (node.children[index] ?? null)) return child
    const children = node.children.slice()
    children[index] = below
    const left = children.flatMap((entry, i) => (entry ? [i] : []))
    if (left.length > 1) return { kind: 'branch', children }
    const only = left[0] as number
    return this.#prefixed([only], children[only] ?? null)
  }

  /** `path` in front of `child`, merged with the path the child itself begins with. */
  #prefixed(path: readonly number[], child: Child): Child {
    const node = this.#open(child)
    if (!node) return null
    if (node.kind === 'leaf') return { ...node, path: [...path, ...node.path], hash: undefined }
    if (node.kind === 'extension') {
      return { kind: 'extension', path: [...path, ...node.path], child: node.child }
    }
    return { kind: 'extension', path: [...path], child: child as NonNullable<Child> }
  }
}

/** Root of a list keyed by RLP index: transactions, receipts. */
export function orderedRoot(values: readonly Uint8Array[]): Uint8Array {
  return crypto.fault === null ? orderedTrieRoot(values) : plainOrderedRoot(values)
}

/** The twin. */
export function plainOrderedRoot(values: readonly Uint8Array[]): Uint8Array {
  const trie = new Trie(() => undefined)
  values.forEach((value, i) => {
    trie.put(encodeRlp(integer(i)), value)
  })
  return trie.commit().root
}

function withoutPrefix(node: TrieNode & { kind: 'leaf' | 'extension' }, length: number): Child {
  const path = node.path.slice(length)
  if (node.kind === 'leaf') return { kind: 'leaf', path, value: node.value }
  return path.length ? { kind: 'extension', path, child: node.child } : node.child
}

function sharedLength(a: readonly number[], b: readonly number[]): number {
  let n = 0
  while (n < a.length && n < b.length && a[n] === b[n]) n++
  return n
}

function startsWith(path: readonly number[], at: number, prefix: readonly number[]): boolean {
  if (path.length - at < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (path[at + i] !== prefix[i]) return false
  return true
}

function samePath(a: readonly number[], path: readonly number[], at: number): boolean {
  return a.length === path.length - at && startsWith(path, at, a)
}
