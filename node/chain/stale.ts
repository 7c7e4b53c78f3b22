/**
 * The trie nodes that one state has and a later one has not: of accounts, and of the storage of each account whose root
 * changed. Subtrees with the same hash in the same place are not opened, so the work is that of the change.
 *
 *   old    root ─ A ─ B ─ leaf x        now    root' ─ A' ─ B ─ leaf x        A, root are stale; B is not opened
 *                  └─ leaf y                     └─ leaf y'                     y is
 *
 * Both tries are walked along the same nibbles; where their shapes differ (an extension here, a branch there) the newer one
 * is followed nibble by nibble. Children come before their parents: what was removed of such a list, cut anywhere, leaves a
 * state whose rest is found again from its root.
 */
import { bytesEqual } from '../base/bytes.ts'
import { type NodeOwner, OWNER_BYTES } from '../store/trie-row.ts'
import { decodeAccount } from './account.ts'
import { EMPTY_ROOT } from './trie.ts'
import { type Child, decodeNode, isStub, keyOfNibbles, type TrieNode } from './trie-node.ts'

export type StaleNode = { readonly hash: Uint8Array; readonly owner: NodeOwner }
export type ReadNode = (hash: Uint8Array, owner: NodeOwner) => Uint8Array | undefined
export type Roots = { readonly old: Uint8Array; readonly now: Uint8Array }

/** Nodes of `old` that are not there any more are passed over, with what is below them. @throws when one of `now` is missing */
export function* staleNodes(read: ReadNode, roots: Roots): Generator<StaleNode> {
  const accounts = new Walk(read, undefined)
  for (const found of accounts.stale(roots)) {
    if ('hash' in found) {
      yield found
      continue
    }
    const { key, old, now } = found
    const changed = { old: storageRoot(old), now: now ? storageRoot(now) : EMPTY_ROOT }
    const storage = new Walk(read, key.subarray(0, OWNER_BYTES))
    for (const node of storage.stale(changed)) if ('hash' in node) yield node
  }
}

function storageRoot(account: Uint8Array): Uint8Array {
  return decodeAccount(account).storageRoot
}

/** A leaf of the old trie that is another one, or none, in the new. */
type ChangedLeaf = {
  readonly key: Uint8Array
  readonly old: Uint8Array
  readonly now: Uint8Array | null
}

/** A place in the newer trie: `skip` nibbles of the node's own path are behind. */
type Place = { child: NonNullable<Child>; readonly skip: number; readonly stub: Uint8Array | null }

class Walk {
  readonly #read: ReadNode
  readonly #owner: NodeOwner

  constructor(read: ReadNode, owner: NodeOwner) {
    this.#read = read
    this.#owner = owner
  }

  *stale({ old, now }: Roots): Generator<StaleNode | ChangedLeaf> {
    if (bytesEqual(old, EMPTY_ROOT)) return
    const place = bytesEqual(now, EMPTY_ROOT) ? null : placeAt({ stub: now })
    yield* this.#below({ stub: old }, place, [])
  }

  *#below(
    old: NonNullable<Child>,
    now: Place | null,
    path: readonly number[],
  ): Generator<StaleNode | ChangedLeaf> {
    const hash = isStub(old) ? old.stub : null
    if (hash && now?.stub && bytesEqual(hash, now.stub)) return
    const node = isStub(old) ? this.#open(old.stub) : old
    if (!node) return
    if (node.kind === 'leaf') {
      const value = now && this.#valueAt(now, node.path)
      if (!value || !bytesEqual(value, node.value)) {
        yield { key: keyOfNibbles([...path, ...node.path]), old: node.value, now: value }
      }
    } else if (node.kind === 'extension') {
      yield* this.#below(node.child, this.#follow(now, node.path), [...path, ...node.path])
    } else {
      for (const [i, child] of node.children.entries()) {
        if (child) yield* this.#below(child, this.#follow(now, [i]), [...path, i])
      }
    }
    if (hash) yield { hash, owner: this.#owner }
  }

  #follow(from: Place | null, nibbles: readonly number[]): Place | null {
    let place = from
    for (const nibble of nibbles) {
      if (!place) return null
      place = this.#step(place, nibble)
    }
    return place
  }

  #step(place: Place, nibble: number): Place | null {
    const node = this.#nodeAt(place)
    if (node.kind === 'branch') {
      const child = node.children[nibble]
      return child ? placeAt(child) : null
    }
    if (node.path[place.skip] !== nibble) return null
    const skip = place.skip + 1
    if (node.kind === 'extension' && skip === node.path.length) return placeAt(node.child)
    return { child: node, skip, stub: null }
  }

  #valueAt(from: Place, path: readonly number[]): Uint8Array | null {
    const place = this.#follow(from, path)
    if (!place) return null
    const node = this.#nodeAt(place)
    return node.kind === 'leaf' && place.skip === node.path.length ? node.value : null
  }

  /** Opened once. */
  #nodeAt(place: Place): TrieNode {
    if (isStub(place.child)) {
      const node = this.#open(place.child.stub)
      if (!node) throw new Error('a node of a state that is kept is not in the database')
      place.child = node
    }
    return place.child
  }

  #open(hash: Uint8Array): TrieNode | null {
    const rlp = this.#read(hash, this.#owner)
    return rlp ? decodeNode(rlp, hash) : null
  }
}

function placeAt(child: NonNullable<Child>): Place {
  return { child, skip: 0, stub: isStub(child) ? child.stub : null }
}
