/**
 * Proofs of the Merkle-Patricia trie (Yellow Paper, appendix D; EIP-1186), for whoever holds a root and nothing else.
 * Runs in a browser: hex in, hex out, no part of the node.
 */
import type { Hex } from 'viem'
import { fromRlp, keccak256 } from 'viem/utils'

/** The root over nothing. */
const EMPTY_ROOT: Hex = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

type Node = readonly (Hex | Node)[]

/**
 * The value at `key`, or null where the proof shows that there is none.
 * @param key as it stands in the trie: hashed for accounts and slots, RLP of the index for lists
 * @param proof RLP of the nodes from the root on
 * @throws Error when the proof does not lead from the root to the key
 */
export function valueInTrie(root: Hex, key: Hex, proof: readonly Hex[]): Hex | null {
  if (root === EMPTY_ROOT && proof.length === 0) return null
  let path = key.slice(2)
  let want: Hex | Node = root
  for (let used = 0; ; ) {
    let node: Node
    if (typeof want === 'string') {
      const bytes = proof[used++]
      if (bytes === undefined) throw new Error(`the proof ends before ${want}`)
      if (keccak256(bytes) !== want) throw new Error(`node ${used - 1} is not the one of ${want}`)
      node = fromRlp(bytes, 'hex') as Node
    } else node = want
    const next = step(node, path)
    if (next.kind === 'value') return next.value
    if (next.kind === 'none') return null
    path = next.path
    want = next.node
  }
}

type Step =
  | { readonly kind: 'value'; readonly value: Hex }
  | { readonly kind: 'none' }
  | { readonly kind: 'node'; readonly node: Hex | Node; readonly path: string }

function step(node: Node, path: string): Step {
  if (node.length === 17) {
    const child = node[path === '' ? 16 : Number.parseInt(path[0] as string, 16)] as Hex | Node
    if (child === '0x') return { kind: 'none' }
    if (path === '') return { kind: 'value', value: child as Hex }
    return { kind: 'node', node: child, path: path.slice(1) }
  }
  const [compact, child] = node
  if (node.length !== 2 || typeof compact !== 'string' || child === undefined)
    throw new Error('a node that is none')
  const flag = Number.parseInt(compact[2] as string, 16)
  const own = compact.slice(flag & 1 ? 3 : 4)
  if (flag & 2) {
    if (own !== path) return { kind: 'none' }
    return { kind: 'value', value: child as Hex }
  }
  if (!path.startsWith(own)) return { kind: 'none' }
  return { kind: 'node', node: child, path: path.slice(own.length) }
}

/** Storage root of an account, null when there is no such account. @throws Error as `valueInTrie` */
export function storageRootOf(stateRoot: Hex, address: Hex, proof: readonly Hex[]): Hex | null {
  const account = valueInTrie(stateRoot, keccak256(address), proof)
  return account && ((fromRlp(account, 'hex') as readonly Hex[])[2] as Hex)
}

/** A slot's value, zero when it is not set. @throws Error as `valueInTrie` */
export function slotValue(storageRoot: Hex, slot: Hex, proof: readonly Hex[]): bigint {
  const value = valueInTrie(storageRoot, keccak256(slot), proof)
  return value === null ? 0n : BigInt(fromRlp(value, 'hex') as Hex)
}
