/**
 * The door to the chain plane's mathematics: keccak-256, secp256k1 and the Merkle-Patricia trie. Bytes in,
 * bytes out. Re-exported by `index.ts`; `node/base/crypto.ts` chooses between this and its twins in TypeScript.
 *
 * What answers at once runs on the caller's thread; `recoverPublicKeys` runs on all of the engine's. Lengths are
 * checked in the skin, which names the argument. Every failure is a `NativeError`.
 */
import { loadBinding } from './binding.ts'
import { asNativeError, NativeError } from './errors.ts'

export const RECOVER_REQUEST_BYTES = 97
export const RECOVER_ANSWER_BYTES = 65
const HASH_BYTES = 32
const KEY_BYTES = 64

interface CryptoBinding {
  keccakInto(message: Uint8Array, out: Uint8Array): void
  keccakMany(data: Uint8Array, lengths: Uint32Array): Uint8Array
  orderedRoot(data: Uint8Array, lengths: Uint32Array, out: Uint8Array): void
  recoverPublicKey(request: Uint8Array, out: Uint8Array): boolean
  recoverPublicKeys(requests: Uint8Array): Promise<Uint8Array>
  signHashes(requests: Uint8Array): Uint8Array
  TrieCache: new (bytesMax: number) => RawTries
}

interface RawTries {
  put(hash: Uint8Array, node: Uint8Array): void
  get(root: Uint8Array, key: Uint8Array, out: Uint8Array): number
  commit(
    root: Uint8Array,
    keys: Uint8Array,
    keyBytes: number,
    values: Uint8Array,
    lengths: Uint32Array,
  ): Uint8Array
}

let loaded: CryptoBinding | undefined

function binding(): CryptoBinding {
  loaded ??= load()
  return loaded
}

function load(): CryptoBinding {
  const found = loadBinding() as unknown as Partial<CryptoBinding>
  if (typeof found.keccakInto !== 'function') {
    throw new Error('the native addon was built from older sources: run `npm run build:native`')
  }
  return found as CryptoBinding
}

function guarded<T>(call: () => T): T {
  try {
    return call()
  } catch (cause) {
    throw asNativeError(cause)
  }
}

/** null: it can be used. Else why not, with the command that helps. */
export function cryptoFault(): string | null {
  try {
    binding()
    return null
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

/** Outputs of one call are copied out before the next one begins. */
const scratch = new Uint8Array(HASH_BYTES)

export function keccak256(message: Uint8Array): Uint8Array {
  try {
    binding().keccakInto(message, scratch)
  } catch (cause) {
    throw asNativeError(cause)
  }
  return scratch.slice()
}

/** 32 bytes for each message, in order. */
export function keccak256Many(messages: readonly Uint8Array[]): Uint8Array {
  const { data, lengths } = joined(messages)
  return guarded(() => binding().keccakMany(data, lengths))
}

/** Root of the trie that keeps `values` under the RLP of their indices. */
export function orderedTrieRoot(values: readonly Uint8Array[]): Uint8Array {
  const { data, lengths } = joined(values)
  guarded(() => binding().orderedRoot(data, lengths, scratch))
  return scratch.slice()
}

/** `request`: `hash 32 || r 32 || s 32 || recovery id 1`. `x 32 || y 32`, or null when no key made it. */
export function recoverPublicKey(request: Uint8Array): Uint8Array | null {
  const key = new Uint8Array(KEY_BYTES)
  return guarded(() => binding().recoverPublicKey(request, key)) ? key : null
}

/** Many requests one behind the other; for each `1 || x || y`, or 65 zeros when no key made it. */
export async function recoverPublicKeys(requests: Uint8Array): Promise<Uint8Array> {
  try {
    return await binding().recoverPublicKeys(requests)
  } catch (cause) {
    throw asNativeError(cause)
  }
}

/** `hash 32 || secret key 32` each; `r 32 || s 32 || recovery id 1` each (RFC 6979, low s). */
export function signHashes(requests: Uint8Array): Uint8Array {
  return guarded(() => binding().signHashes(requests))
}

/** What a commit adds to the database. */
export type TrieNodes = readonly { readonly hash: Uint8Array; readonly rlp: Uint8Array }[]

/** Room for the longest value of a trie: accounts and slots have at most 110 bytes. */
const VALUE_BYTES_MAX = 1_024
const ABSENT = -1
const MISSING_NODES = 1

/**
 * Tries of hashed keys over one cache of `bytesMax` bytes. A node that is not in the cache is asked of
 * `load`. Whatever is found by its hash is never stale: any number of roots can be used at once.
 */
export class NativeTries {
  readonly #raw: RawTries
  readonly #load: (hash: Uint8Array) => Uint8Array | undefined
  readonly #out = new Uint8Array(VALUE_BYTES_MAX)

  constructor(bytesMax: number, load: (hash: Uint8Array) => Uint8Array | undefined) {
    this.#raw = guarded(() => new (binding().TrieCache)(bytesMax))
    this.#load = load
  }

  /** The value under keccak256(key) in the trie of `root`; null when there is none. */
  get(root: Uint8Array, key: Uint8Array): Uint8Array | null {
    for (;;) {
      const length = this.#lookUp(root, key)
      if (length >= 0) return this.#out.slice(0, length)
      if (length === ABSENT) return null
      this.#fetch(this.#out.slice(0, HASH_BYTES))
    }
  }

  /** Applies changes under keccak256(key); an empty value deletes. All keys have one length. */
  commit(
    root: Uint8Array,
    changes: readonly (readonly [key: Uint8Array, value: Uint8Array])[],
  ): { root: Uint8Array; nodes: TrieNodes } {
    const keys = joined(changes.map(([key]) => key))
    const keyBytes = keys.lengths[0] ?? 1
    if (keys.lengths.some((length) => length !== keyBytes)) {
      throw new NativeError('NATIVE_BAD_INPUT', 'the keys of one commit have different lengths')
    }
    const { data, lengths } = joined(changes.map(([, value]) => value))
    for (;;) {
      const answer = guarded(() => this.#raw.commit(root, keys.data, keyBytes, data, lengths))
      if (answer[0] !== MISSING_NODES) return nodesOf(answer)
      for (let at = 1; at < answer.length; at += HASH_BYTES) {
        this.#fetch(answer.slice(at, at + HASH_BYTES))
      }
    }
  }

  #lookUp(root: Uint8Array, key: Uint8Array): number {
    try {
      return this.#raw.get(root, key, this.#out)
    } catch (cause) {
      throw asNativeError(cause)
    }
  }

  #fetch(hash: Uint8Array): void {
    const node = this.#load(hash)
    if (!node) {
      const hex = Buffer.from(hash).toString('hex')
      throw new NativeError('NATIVE_BAD_INPUT', `trie node 0x${hex} is not in the database`)
    }
    guarded(() => this.#raw.put(hash, node))
  }
}

/** `0 || root || (hash || length u32be || node)...`: views, not copies. */
function nodesOf(answer: Uint8Array): { root: Uint8Array; nodes: TrieNodes } {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length)
  const nodes: TrieNodes[number][] = []
  for (let at = 1 + HASH_BYTES; at < answer.length; ) {
    const from = at + HASH_BYTES + 4
    const to = from + view.getUint32(at + HASH_BYTES)
    nodes.push({ hash: answer.subarray(at, at + HASH_BYTES), rlp: answer.subarray(from, to) })
    at = to
  }
  return { root: answer.slice(1, 1 + HASH_BYTES), nodes }
}

function joined(parts: readonly Uint8Array[]): { data: Uint8Array; lengths: Uint32Array } {
  const lengths = Uint32Array.from(parts, (part) => part.length)
  const data = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    data.set(part, at)
    at += part.length
  }
  return { data, lengths }
}
