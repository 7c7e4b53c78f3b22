/**
 * Private rows for who has a grant: the key that DatanetRegistry names for this account, decrypted with its secret key, opens
 * the payload. Every row is checked against the envelope. Nothing that is decrypted is kept.
 *
 *   grantOf(Datanet, rows root, account) -> key content -> ECIES -> key -> payload -> rows
 */
import { type Hex, ZERO_HASH } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import { addressOfKey } from '../base/keys.ts'
import { decodeEnvelope } from './envelope.ts'
import { openRows, unwrapKey } from './private.ts'
import type { Contribution, OpenPrivate } from './version.ts'

/** The reader of a Datanet's private rows; its id in decimal. */
export type OpenDatanet = (datanet: string) => OpenPrivate

export type GrantModules = {
  readonly chainId: number
  /** Of the account; undefined when the key cannot decrypt (it stands behind a remote signer). */
  readonly secret: Uint8Array | undefined
  readonly address: Hex
  /** Content hash of the account's key; zero: no grant. */
  grantOf(place: {
    readonly datanetId: bigint
    readonly rowsRoot: Hex
    readonly grantee: Hex
  }): Promise<Hex>
  /** Whether their contributor has erased these rows: then nobody reads them, though a copy be left. */
  isErased(place: { readonly datanetId: bigint; readonly rowsRoot: Hex }): Promise<boolean>
  read(hash: Hex): Promise<Uint8Array>
}

/** @throws NodeError `options` when the key is another account's */
export function grantedTo(modules: GrantModules): OpenDatanet {
  const { chainId, secret, address, grantOf, isErased, read } = modules
  if (secret && addressOfKey(secret) !== address)
    throw userError('options', `the key is ${addressOfKey(secret)}'s, not ${address}'s`)
  return (datanet) => async (contribution) => {
    const { contributor, rowsRoot, rowCount, file } = contribution
    const what = `${rowCount} rows of ${contributor} in Datanet ${datanet} are private`
    const place = { datanetId: BigInt(datanet), rowsRoot }
    if (await isErased(place)) throw erasedRows(datanet, contribution)
    if (!secret) throw noGrant(`${what}; ${address} signs remotely and cannot decrypt them`)
    const keyHash = await grantOf({ ...place, grantee: address })
    if (keyHash === ZERO_HASH)
      throw noGrant(
        `${what}, and ${address} has no grant: ask ${contributor} for 'openledger datanet grant ${datanet} ${rowsRoot} ${address}', or name a version without them`,
      )
    const key = unwrapKey(await read(keyHash), secret, { chainId, ...place })
    const envelope = decodeEnvelope(await read(file))
    return openRows(envelope, await payload(envelope.payloadHash, what, read), key)
  }
}

async function payload(
  hash: Hex,
  what: string,
  read: (hash: Hex) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  try {
    return await read(hash)
  } catch (error) {
    if (!(error instanceof NodeError) || !error.code.startsWith('content-')) throw error
    const why = `${what}, and their payload ${hash} is not to be had: no peer has it`
    throw new NodeError(error.code, error.severity, why, {}, error)
  }
}

/** Rows that no job can be trained on any more. */
export function erasedRows(
  datanet: string,
  { contributor, rowCount }: Pick<Contribution, 'contributor' | 'rowCount'>,
): NodeError {
  return userError(
    'datanet-erased',
    `${rowCount} rows of ${contributor} in Datanet ${datanet} are erased by their contributor: name a version without them; 'openledger datanet version ${datanet}' makes one`,
  )
}

function noGrant(why: string): NodeError {
  return userError('datanet-private', why)
}
