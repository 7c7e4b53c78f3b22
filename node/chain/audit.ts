/**
 * Whether a database is what it says: the canonical chain link by link from genesis (hashes, transactions
 * and receipts roots, the transaction index), and the state of one block node by node (every trie node
 * and every code there, under the hash that names it). Slow and obvious; nothing is written.
 */
import { bytesEqual, fromHex, type Hex, keccak, toHex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import type { Store } from '../store/store.ts'
import { OWNER_BYTES } from '../store/trie-row.ts'
import { decodeAccount, EMPTY_CODE_HASH } from './account.ts'
import { decodeEthereumBlock, transactionsRoot } from './block.ts'
import { readHeads } from './heads.ts'
import { decodeStoredReceipts, receiptsRoot } from './receipt.ts'
import type { StateReader } from './state.ts'
import { EMPTY_ROOT, type LoadNode } from './trie.ts'
import { type Child, decodeNode, isStub, keyOfNibbles } from './trie-node.ts'
import { txHash } from './tx.ts'
import type { EthereumBlock } from './types.ts'

/** What was wrong, for a person; at most this many are kept. */
const PROBLEMS_MAX = 100

export type ChainAudit = {
  readonly blocks: number
  readonly transactions: number
  readonly problems: readonly string[]
}

export type StateAudit = {
  readonly accounts: number
  readonly slots: number
  readonly nodes: number
  readonly codes: number
  readonly problems: readonly string[]
}

/** `part` is 0 to 1. Yields to the event loop now and then, so that progress can be shown. */
export type AuditProgress = (part: number, note: string) => void | Promise<void>

/** Every canonical block from genesis to the unsafe head. */
export async function auditChain(
  store: Store,
  onProgress: AuditProgress = () => {},
): Promise<ChainAudit> {
  const problems: string[] = []
  const note = (text: string): void => {
    if (problems.length < PROBLEMS_MAX) problems.push(text)
  }
  const heads = readHeads(store)
  if (!heads) return { blocks: 0, transactions: 0, problems: ['there are no heads: it is empty'] }
  let parent: Hex | null = null
  let [blocks, transactions] = [0, 0]
  for (let number = 0n; number <= heads.unsafe.number; number++) {
    const block = readBlock(store, number, note)
    if (block) {
      checkLinks(store, { block, number, parent }, note)
      blocks++
      transactions += block.transactions.length
    }
    parent = block?.hash ?? null
    await onProgress(
      Number(number) / Math.max(1, Number(heads.unsafe.number)),
      `block ${number} of ${heads.unsafe.number}`,
    )
  }
  for (const tag of ['unsafe', 'safe', 'finalized'] as const) {
    const { number, hash } = heads[tag]
    if (store.canonicalHash(number) !== hash) note(`the ${tag} head ${number} is not canonical`)
  }
  if (store.canonicalHash(heads.unsafe.number + 1n))
    note('there is a canonical block above the head')
  return { blocks, transactions, problems }
}

function readBlock(
  store: Store,
  number: bigint,
  note: (text: string) => void,
): EthereumBlock | null {
  const hash = store.canonicalHash(number)
  if (!hash) {
    note(`block ${number}: no canonical hash`)
    return null
  }
  const bytes = store.block(hash)
  if (!bytes) {
    note(`block ${number}: ${hash} is not stored`)
    return null
  }
  try {
    const block = decodeEthereumBlock(bytes)
    if (block.hash !== hash) note(`block ${number}: stored under ${hash}, hashes to ${block.hash}`)
    return block
  } catch (error) {
    note(`block ${number}: ${messageOf(error)}`)
    return null
  }
}

function checkLinks(
  store: Store,
  { block, number, parent }: { block: EthereumBlock; number: bigint; parent: Hex | null },
  note: (text: string) => void,
): void {
  if (block.header.number !== number)
    note(`block ${number}: its header says ${block.header.number}`)
  if (number > 0n && parent && block.header.parentHash !== parent) {
    note(`block ${number}: parent is ${block.header.parentHash}, block ${number - 1n} is ${parent}`)
  }
  const root = transactionsRoot(block.transactions)
  if (root !== block.header.transactionsRoot) {
    note(
      `block ${number}: transactions root is ${root}, the header says ${block.header.transactionsRoot}`,
    )
  }
  const stored = store.receipts(block.hash)
  if (!stored) note(`block ${number}: no receipts`)
  else {
    try {
      const root = receiptsRoot(decodeStoredReceipts(stored, block))
      if (root !== block.header.receiptsRoot) {
        note(
          `block ${number}: receipts root is ${root}, the header says ${block.header.receiptsRoot}`,
        )
      }
    } catch (error) {
      note(`block ${number}: receipts do not decode: ${messageOf(error)}`)
    }
  }
  block.transactions.forEach((raw, index) => {
    const place = store.txPlace(txHash(raw))
    if (place?.blockHash !== block.hash || place.index !== index) {
      note(`block ${number}: transaction ${index} is not in the index`)
    }
  })
}

/** Every node below a state root: accounts, their storage and code. */
export async function auditState(
  reader: StateReader,
  root: Hex,
  onProgress: AuditProgress = () => {},
): Promise<StateAudit> {
  const count = { accounts: 0, slots: 0, nodes: 0, codes: 0 }
  const problems: string[] = []
  const note = (text: string): void => {
    if (problems.length < PROBLEMS_MAX) problems.push(text)
  }
  for (const { key, value } of leaves((hash) => reader.node(hash), fromHex(root), count, note)) {
    count.accounts++
    const account = decodeAccount(value)
    const storage = (hash: Uint8Array) => reader.node(hash, key.subarray(0, OWNER_BYTES))
    for (const _ of leaves(storage, account.storageRoot, count, note)) count.slots++
    if (!bytesEqual(account.codeHash, EMPTY_CODE_HASH)) {
      const code = reader.code(account.codeHash)
      if (!code) note(`code ${toHex(account.codeHash)} is missing`)
      else if (!bytesEqual(keccak(code), account.codeHash)) {
        note(`code ${toHex(account.codeHash)} is damaged`)
      } else count.codes++
    }
    // Keys are hashes: the first bytes say how far along the trie this is.
    const part = ((key[0] as number) * 256 + (key[1] as number)) / 65_536
    await onProgress(part, `${count.accounts} accounts, ${count.slots} slots`)
  }
  return { ...count, problems }
}

/** Depth first; a node that is missing or damaged is noted, and what is below it left out. */
function* leaves(
  read: LoadNode,
  root: Uint8Array,
  count: { nodes: number },
  note: (text: string) => void,
): Generator<{ key: Uint8Array; value: Uint8Array }> {
  if (bytesEqual(root, EMPTY_ROOT)) return
  const waiting: { child: NonNullable<Child>; path: number[] }[] = [
    { child: { stub: root }, path: [] },
  ]
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { child, path } = next
    const node = isStub(child) ? load(read, child.stub, count, note) : child
    if (!node) continue
    if (node.kind === 'leaf') {
      yield { key: keyOfNibbles([...path, ...node.path]), value: node.value }
    } else if (node.kind === 'extension') {
      waiting.push({ child: node.child, path: [...path, ...node.path] })
    } else {
      for (let i = 15; i >= 0; i--) {
        const below = node.children[i]
        if (below) waiting.push({ child: below, path: [...path, i] })
      }
    }
  }
}

function load(
  read: LoadNode,
  hash: Uint8Array,
  count: { nodes: number },
  note: (text: string) => void,
): ReturnType<typeof decodeNode> | null {
  const rlp = read(hash)
  if (!rlp) {
    note(`trie node ${toHex(hash)} is missing`)
    return null
  }
  if (!bytesEqual(keccak(rlp), hash)) {
    note(`trie node ${toHex(hash)} is damaged`)
    return null
  }
  count.nodes++
  return decodeNode(rlp, hash)
}
