/**
 * Keystore v3, the encrypted key file of geth and every wallet (Web3 Secret Storage): scrypt makes 32 bytes
 * of a password; the first half encrypts the key (AES-128-CTR), the second, hashed with the
 * ciphertext, tells a wrong password from a right one. `pbkdf2` files are read too.
 *
 * https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage/
 */
import {
  createCipheriv,
  createDecipheriv,
  pbkdf2Sync,
  randomBytes,
  randomUUID,
  scryptSync,
} from 'node:crypto'
import { scrypt } from '@noble/hashes/scrypt.js'
import { concatBytes, fromHex, type Hex, keccak, toHex } from '../base/bytes.ts'
import { messageOf, type NodeError, userError } from '../base/errors.ts'
import { addressOfKey, parsePrivateKey } from '../base/keys.ts'

export type Keystore = {
  readonly version: 3
  readonly id: string
  /** 20 bytes of hex, without 0x, as geth writes it. */
  readonly address: string
  readonly crypto: {
    readonly cipher: 'aes-128-ctr'
    readonly cipherparams: { readonly iv: string }
    readonly ciphertext: string
    readonly kdf: 'scrypt' | 'pbkdf2'
    readonly kdfparams: Readonly<Record<string, string | number>>
    readonly mac: string
  }
}

/** geth's standard cost: about a second and 256 MiB. */
export const SCRYPT_STANDARD = { n: 262_144, r: 8, p: 1 } as const
const KEY_BYTES = 32
const MIB = 1024 * 1024
/** What a file may ask of us: a hostile one must not take the machine's memory. */
const SCRYPT_BYTES_MAX = 1024 * 1024 * 1024
const PBKDF2_ROUNDS_MAX = 10_000_000

/** `cost.n` doubles time and memory with each doubling; tests use little. */
export function encryptKey(
  privateKey: Uint8Array,
  password: string,
  cost: { n: number; r: number; p: number } = SCRYPT_STANDARD,
): Keystore {
  const [salt, iv] = [randomBytes(32), randomBytes(16)]
  const kdfparams = { dklen: KEY_BYTES, salt: bare(salt), ...cost }
  const derived = deriveKey('scrypt', kdfparams, password)
  const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv)
  const ciphertext = concatBytes(cipher.update(privateKey), cipher.final())
  return {
    version: 3,
    id: randomUUID(),
    address: addressOfKey(privateKey).slice(2),
    crypto: {
      cipher: 'aes-128-ctr',
      cipherparams: { iv: bare(iv) },
      ciphertext: bare(ciphertext),
      kdf: 'scrypt',
      kdfparams,
      mac: bare(keccak(derived.subarray(16, 32), ciphertext)),
    },
  }
}

/** @throws NodeError `keystore` on a wrong password or a file that is no keystore v3. */
export function decryptKey(keystore: Keystore, password: string): Uint8Array {
  const { crypto } = keystore
  const derived = deriveKey(crypto.kdf, crypto.kdfparams, password)
  const ciphertext = hexField(crypto.ciphertext, 'ciphertext')
  if (bare(keccak(derived.subarray(16, 32), ciphertext)) !== crypto.mac.toLowerCase()) {
    throw refuse('the password is wrong')
  }
  const iv = hexField(crypto.cipherparams.iv, 'iv')
  const decipher = createDecipheriv('aes-128-ctr', derived.subarray(0, 16), iv)
  const key = concatBytes(decipher.update(ciphertext), decipher.final())
  return parsePrivateKey(toHex(key))
}

/** @throws NodeError `keystore` saying what is missing; checks shape, not password. */
export function parseKeystore(text: string): Keystore {
  let json: Record<string, unknown>
  try {
    json = JSON.parse(text) as Record<string, unknown>
  } catch (error) {
    throw refuse(`it is not JSON: ${messageOf(error)}`)
  }
  if (json?.version !== 3) throw refuse(`version is ${json?.version}, want 3`)
  // Some tools write `Crypto`.
  const crypto = (json.crypto ?? json.Crypto) as Partial<Keystore['crypto']> | undefined
  if (crypto?.cipher !== 'aes-128-ctr')
    throw refuse(`cipher is ${crypto?.cipher}, want aes-128-ctr`)
  if (crypto.kdf !== 'scrypt' && crypto.kdf !== 'pbkdf2') {
    throw refuse(`kdf is ${crypto.kdf}, want scrypt or pbkdf2`)
  }
  for (const name of ['ciphertext', 'mac'] as const) hexField(crypto[name], name)
  hexField(crypto.cipherparams?.iv, 'iv')
  if (typeof crypto.kdfparams !== 'object') throw refuse('kdfparams are missing')
  return { ...(json as unknown as Keystore), crypto: crypto as Keystore['crypto'] }
}

/** 0x address of a keystore; undefined where the file leaves it out (it may). */
export function keystoreAddress({ address }: Keystore): Hex | undefined {
  return /^(0x)?[0-9a-fA-F]{40}$/.test(address ?? '')
    ? `0x${address.replace(/^0x/, '').toLowerCase()}`
    : undefined
}

function deriveKey(
  kdf: Keystore['crypto']['kdf'],
  params: Keystore['crypto']['kdfparams'],
  password: string,
): Uint8Array {
  const salt = hexField(params.salt, 'salt')
  const secret = password.normalize('NFKC')
  if (Number(params.dklen) !== KEY_BYTES) throw refuse(`dklen is ${params.dklen}, want 32`)
  if (kdf === 'pbkdf2') {
    const rounds = Number(params.c)
    if (params.prf !== 'hmac-sha256') throw refuse(`prf is ${params.prf}, want hmac-sha256`)
    if (!(rounds > 0 && rounds <= PBKDF2_ROUNDS_MAX))
      throw refuse(`c is ${params.c}, at most ${PBKDF2_ROUNDS_MAX}`)
    return new Uint8Array(pbkdf2Sync(secret, salt, rounds, KEY_BYTES, 'sha256'))
  }
  const [N, r, p] = [Number(params.n), Number(params.r), Number(params.p)]
  const bytes = 128 * N * r * p
  try {
    if (!(bytes > 0 && bytes <= SCRYPT_BYTES_MAX)) throw new Error('needs more than 1 GiB')
    // OpenSSL, the faster one, refuses n >= 2^(16 r); files in the field have it.
    if (N >= 2 ** (16 * r)) return scrypt(secret, salt, { N, r, p, dkLen: KEY_BYTES })
    return new Uint8Array(scryptSync(secret, salt, KEY_BYTES, { N, r, p, maxmem: 2 * bytes + MIB }))
  } catch (error) {
    throw refuse(`scrypt n=${params.n} r=${params.r} p=${params.p}: ${messageOf(error)}`)
  }
}

function hexField(value: unknown, name: string): Uint8Array {
  if (typeof value !== 'string' || !/^(0x)?([0-9a-fA-F]{2})+$/.test(value)) {
    throw refuse(`${name} is not hex`)
  }
  return fromHex(value.startsWith('0x') ? value : `0x${value}`)
}

function bare(bytes: Uint8Array): string {
  return toHex(bytes).slice(2)
}

function refuse(what: string): NodeError {
  return userError('keystore', `the keystore cannot be used: ${what}`)
}
