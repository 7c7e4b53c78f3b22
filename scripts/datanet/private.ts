/**
 * Private rows from the command line: whose key they are encrypted to, grants on chain, and reading what one may.
 * A contributor grants its own key first, so that rows and further grants need nothing but that key and the chain.
 */
import { randomBytes } from 'node:crypto'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { fromHex, type Hex, keccakHex, toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { messageOf, userError } from '../../node/base/errors.ts'
import { addressOfPublicKey } from '../../node/base/keys.ts'
import { decodeTx } from '../../node/chain/tx.ts'
import { decodeEnvelope } from '../../node/datanet/envelope.ts'
import { openRows, unwrapKey, wrapKey } from '../../node/datanet/private.ts'
import { decodeRows, type Row, rowsRoot as rootOf } from '../../node/datanet/rows.ts'
import { decodeVersionManifest } from '../../node/datanet/version.ts'
import { contentInParts } from '../cli/content.ts'
import type { Person } from '../cli/person.ts'
import type { Rpc } from '../cli/rpc.ts'
import { DATANETS } from './session.ts'

export type Reader = {
  readonly address: Hex
  /** Compressed, 33 bytes. */
  readonly key: Uint8Array
}

/** One contribution. */
export type PrivatePlace = { readonly datanetId: bigint; readonly rowsRoot: Hex }

type Asked = Pick<Person, 'rpc' | 'chainId'>

/** A public key as hex, or an account that has sent a transaction. @throws NodeError `usage`, `no-public-key` */
export async function readerOf(text: string, asked: Asked): Promise<Reader> {
  const hex = text.trim().toLowerCase()
  if (/^0x(0[23][0-9a-f]{64}|04[0-9a-f]{128})$/.test(hex)) return readerFrom(fromHex(hex))
  if (/^0x[0-9a-f]{40}$/.test(hex)) return recoveredReader(hex as Hex, asked)
  throw userError('usage', `'${text}' is no account and no secp256k1 public key (33 or 65 bytes)`)
}

export function readerFrom(publicKey: Uint8Array): Reader {
  try {
    const point = secp256k1.Point.fromBytes(publicKey)
    return { address: addressOfPublicKey(point.toBytes(false)), key: point.toBytes(true) }
  } catch {
    throw userError('usage', `${toHex(publicKey)} is no point of secp256k1`)
  }
}

/** From the block in which the account's count of transactions became what it is. */
async function recoveredReader(address: Hex, { rpc, chainId }: Asked): Promise<Reader> {
  const count = async (block: number): Promise<number> =>
    Number(await rpc<Hex>('eth_getTransactionCount', address, quantity(block)))
  const head = Number(await rpc<Hex>('eth_blockNumber'))
  const newest = await count(head)
  if (newest === 0) throw noKey(address, 'it has sent no transaction here')
  let [low, high] = [0, head]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((await count(middle)) < newest) low = middle + 1
    else high = middle
  }
  type Sent = { transactions: readonly { from: Hex; hash: Hex }[] }
  const { transactions } = await rpc<Sent>('eth_getBlockByNumber', quantity(low), true)
  const own = transactions.find(({ from }) => from.toLowerCase() === address)
  if (!own) throw noKey(address, `block ${low} does not have its transaction`)
  const raw = fromHex(await rpc<Hex>('debug_getRawTransaction', own.hash))
  const { inner, sender } = decodeTx(raw, chainId)
  if (sender !== address) throw noKey(address, `the node shows a transaction of ${sender}`)
  return readerFrom(Uint8Array.of(4, ...inner.getSenderPublicKey()))
}

/** Keeps the key for the reader as content, and its hash on chain. */
export async function grant(
  key: Uint8Array,
  { reader, place }: { reader: Reader; place: PrivatePlace },
  { wallet, rpc, chainId }: Person,
): Promise<void> {
  const ephemeral = secp256k1.utils.randomSecretKey()
  const of = { chainId, ...place }
  const content = wrapKey(key, { reader: reader.key, ephemeral, place: of })
  const keyHash = await rpc<Hex>('openledger_putContent', toHex(content))
  await setGrant(keyHash, { reader: reader.address, place }, wallet)
}

/** The hash of the content that holds the reader's key; zero takes a grant back. */
export async function setGrant(
  keyHash: Hex,
  { reader, place }: { reader: Hex; place: PrivatePlace },
  wallet: Person['wallet'],
): Promise<void> {
  const args = [place.datanetId, place.rowsRoot, reader, keyHash]
  await wallet.send({ ...DATANETS, functionName: 'grant', args })
}

/** null: no grant. @throws NodeError when the content is not to be had or is for somebody else */
export async function keyFor(
  place: PrivatePlace,
  { wallet, rpc, chainId, key }: Person,
): Promise<Uint8Array | null> {
  const args = [place.datanetId, place.rowsRoot, wallet.address]
  const keyHash = await wallet.read<Hex>({ ...DATANETS, functionName: 'grantOf', args })
  if (keyHash === ZERO_HASH) return null
  return unwrapKey(await contentOf(rpc, keyHash), key, { chainId, ...place })
}

/** null when one may not read them. @throws NodeError `content-missing` when they are erased */
export async function privateRows(
  place: PrivatePlace & { readonly contentHash: Hex },
  person: Person,
): Promise<Row[] | null> {
  const key = await keyFor(place, person)
  if (!key) return null
  const envelope = decodeEnvelope(await contentOf(person.rpc, place.contentHash))
  return openRows(envelope, await contentOf(person.rpc, envelope.payloadHash), key)
}

/**
 * The rows of a version (null: the newest) that one may read, and what of it one may not, in words. Rows that are not
 * what their contributor committed to are of the second kind: the manifest is the Datanet owner's word.
 * @throws NodeError `datanet-unknown`
 */
export async function readableRows(
  id: number,
  version: number | null,
  person: Person,
): Promise<{ rows: Row[]; unread: string[] }> {
  const { rpc } = person
  const found = await rpc<{ versionCount: number } | null>('openledger_getDatanet', id)
  const number = version ?? found?.versionCount ?? 0
  type View = { manifestHash: Hex } | null
  const held = number > 0 ? await rpc<View>('openledger_getDatanetVersion', id, number) : null
  if (!held) throw userError('datanet-unknown', `Datanet ${id} has no version ${version ?? 'yet'}`)
  const manifest = await contentOf(rpc, held.manifestHash)
  const [rows, unread]: [Row[], string[]] = [[], []]
  for (const one of decodeVersionManifest(manifest, held.manifestHash).contributions) {
    const { contributor, rowsRoot, rowCount, file, isPrivate } = one
    const leftOut = `${rowCount} rows of ${contributor} (${rowsRoot})`
    try {
      const place = { datanetId: BigInt(id), rowsRoot, contentHash: file }
      const own = isPrivate
        ? await privateRows(place, person)
        : decodeRows(await contentOf(rpc, file))
      if (!own) unread.push(`${leftOut}: no grant`)
      else if (rootOf(own) !== rowsRoot) unread.push(`${leftOut}: its file holds other rows`)
      // Salts are for proofs, not for readers.
      else rows.push(...own.map(({ salt: _, ...row }) => row))
    } catch (error) {
      unread.push(`${leftOut}: ${messageOf(error)}`)
    }
  }
  return { rows, unread }
}

/** @throws NodeError `content-corrupt` when the node's answer is another content */
export async function contentOf(rpc: Rpc, hash: Hex): Promise<Uint8Array> {
  const bytes = await contentInParts(rpc, hash)
  if (keccakHex(bytes) === hash) return bytes
  throw userError('content-corrupt', `the node's answer for ${hash} is not that content`)
}

export function random(size: number): Uint8Array {
  return new Uint8Array(randomBytes(size))
}

function quantity(value: number): Hex {
  return `0x${value.toString(16)}`
}

function noKey(address: Hex, why: string): Error {
  return userError(
    'no-public-key',
    `the public key of ${address} is not known: ${why}; give the key itself`,
  )
}
