/**
 * The tries of accounts and slots over the database: a value by its key, and the new root with the new nodes
 * after a batch of changes. Keys are given as they are and hashed here. Two implementations with the
 * same answers: native over its own bounded cache of nodes, and `Trie` in TypeScript. Both find nodes by
 * hash, so any root can be asked at any time; reorganisations leave nothing stale.
 */
import { NativeTries } from '../../native/index.ts'
import { keccak } from '../base/bytes.ts'
import { crypto } from '../base/crypto.ts'
import type { NodeOwner } from '../store/trie-row.ts'
import { chainOptions } from './options.ts'
import { type LoadNode, Trie } from './trie.ts'

export type Change = readonly [key: Uint8Array, /** Empty deletes. */ value: Uint8Array]

export type TrieChange = {
  readonly root: Uint8Array
  readonly nodes: readonly { readonly hash: Uint8Array; readonly rlp: Uint8Array }[]
}

export type Tries = {
  get(root: Uint8Array, key: Uint8Array, owner?: NodeOwner): Uint8Array | null
  /** All keys have one length. */
  commit(root: Uint8Array, changes: readonly Change[], owner?: NodeOwner): TrieChange
}

type TrieReader = { node(hash: Uint8Array, owner?: NodeOwner): Uint8Array | undefined }

/** One for each reader, so that blocks and calls share what was read. */
const known = new WeakMap<object, Tries>()

export function triesOf(reader: TrieReader): Tries {
  let tries = known.get(reader)
  if (!tries) {
    tries = createTries(reader)
    known.set(reader, tries)
  }
  return tries
}

/** Nodes are cached by hash, whoever's they are; what is not cached is loaded as the owner's. */
function createTries(reader: TrieReader): Tries {
  let owner: NodeOwner
  const load: LoadNode = (hash) => reader.node(hash, owner)
  const tries = crypto.fault === null ? nativeTries(load) : plainTries(load)
  return {
    get: (root, key, whose) => {
      owner = whose
      return tries.get(root, key)
    },
    commit: (root, changes, whose) => {
      owner = whose
      return tries.commit(root, changes)
    },
  }
}

export function nativeTries(load: LoadNode): Tries {
  return new NativeTries(chainOptions.trieCacheBytes, load)
}

export function plainTries(load: LoadNode): Tries {
  return {
    get: (root, key) => new Trie(load, root).get(keccak(key)),
    commit: (root, changes) => {
      const trie = new Trie(load, root)
      for (const [key, value] of changes) trie.put(keccak(key), value)
      return trie.commit()
    },
  }
}
