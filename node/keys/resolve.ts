/**
 * From what the operator said to keys: each role's key is hex from the environment or the configuration file, an
 * encrypted keystore, or a remote signer.
 */
import { type Hex, toHex } from '../base/bytes.ts'
import { messageOf, userError } from '../base/errors.ts'
import { parsePrivateKey } from '../base/keys.ts'
import { flagOf, type NodeOptions, variableOf } from '../options.ts'
import { readKeystore, readSecretFile } from './files.ts'
import { decryptKey } from './keystore.ts'
import { remoteSigner } from './remote.ts'
import { localSigner, type Signer } from './signer.ts'

export const KEY_ROLES = [
  'sequencer',
  'batcher',
  'provider',
  'sponsor',
  'validator',
  'proposer',
  'challenger',
] as const
export type KeyRole = (typeof KEY_ROLES)[number]
/** They sign EIP-712 data, which not every remote signer does. */
const TYPED_DATA_ROLES: readonly KeyRole[] = ['provider', 'sponsor', 'validator']

/**
 * The options with every keystore opened: its key stands where hex would. `prompt` asks a person, and is
 * absent where there is none.
 * @throws NodeError `options`, `key-file`, `keystore`
 */
export async function openKeystores(
  options: NodeOptions,
  prompt?: (question: string) => Promise<string>,
): Promise<NodeOptions> {
  const out: Record<string, unknown> = { ...options }
  for (const role of KEY_ROLES) {
    const path = options[`${role}Keystore`]
    if (path === null) continue
    if (options[`${role}Key`] !== null) {
      throw userError(
        'options',
        `the ${role}'s key is given twice: drop ${variableOf(`${role}Key`)} or --${flagOf(`${role}Keystore`)}`,
      )
    }
    const password = await passwordOf(options, `password of ${path}`, prompt)
    try {
      out[`${role}Key`] = toHex(decryptKey(readKeystore(path), password))
    } catch (error) {
      throw userError('keystore', `${path}: ${messageOf(error)}`)
    }
  }
  return Object.freeze(out) as NodeOptions
}

/** From the password file, then the environment, then a person. @throws NodeError `options`, `key-file` */
export async function passwordOf(
  { passwordFile, password }: Pick<NodeOptions, 'passwordFile' | 'password'>,
  what: string,
  prompt?: (question: string) => Promise<string>,
): Promise<string> {
  if (passwordFile !== null) {
    return readSecretFile(passwordFile, 'password file').replace(/\r?\n$/, '')
  }
  if (password !== null) return password
  if (prompt) return prompt(`${what}: `)
  throw userError(
    'options',
    `no ${what} was given: set --${flagOf('passwordFile')} or ${variableOf('password')}`,
  )
}

/**
 * The signer of a role that the chain configuration names; `onMismatch` hears of another account's.
 * @throws NodeError `options` when there is no key, or two
 */
export function signerFor(
  role: KeyRole,
  options: NodeOptions,
  expected: Hex,
  onMismatch: (message: string) => void,
): Signer {
  const signer = optionalSigner(role, options, expected)
  if (signer) {
    const { address } = signer
    if (address !== expected.toLowerCase()) {
      onMismatch(
        `the ${role}'s key belongs to ${address}; the chain configuration names ${expected}`,
      )
    }
    return signer
  }
  throw userError('options', missingKey(role))
}

/** What to say when a role has none. */
export function missingKey(role: KeyRole): string {
  return `the ${role} needs a key: set ${variableOf(`${role}Key`)}, --${flagOf(`${role}Keystore`)} or --${flagOf(`${role}Signer`)}`
}

/**
 * The signer of a role that anybody may have; null when no key was given. A remote signer's account is
 * `expected`, or what the URL ends in: `http://signer:9000#0xADDRESS`.
 * @throws NodeError `options` when a key is given twice, or cannot be used
 */
export function optionalSigner(role: KeyRole, options: NodeOptions, expected?: Hex): Signer | null {
  const [key, given] = [options[`${role}Key`], options[`${role}Signer`]]
  if (key !== null && given !== null) {
    throw userError(
      'options',
      `the ${role}'s key is given twice: a key and a remote signer; drop one`,
    )
  }
  if (key !== null) return localSigner(privateKeyOf(role, key))
  if (given === null) return null
  const [url = '', fragment] = given.split('#')
  const address = (fragment ?? expected)?.toLowerCase()
  if (!URL.canParse(url) || !/^0x[0-9a-f]{40}$/.test(address ?? '')) {
    throw userError(
      'options',
      `--${flagOf(`${role}Signer`)} must be a URL${expected ? '' : ' with the account, URL#0xADDRESS'}`,
    )
  }
  const protocol = options.signerProtocol
  if (protocol === 'op-signer' && TYPED_DATA_ROLES.includes(role)) {
    throw userError(
      'options',
      `the ${role} signs EIP-712 data, which op-signer does not: use web3signer (--${flagOf('signerProtocol')}), or a keystore`,
    )
  }
  return remoteSigner({ url, address: address as Hex, protocol })
}

/** The signers of a node, whatever its role; null where no key was given. */
export type NodeSigners = { readonly [R in 'provider' | 'sponsor' | 'validator']: Signer | null }

/** @throws NodeError `options` */
export function nodeSigners(options: NodeOptions): NodeSigners {
  return {
    provider: optionalSigner('provider', options),
    sponsor: optionalSigner('sponsor', options),
    validator: optionalSigner('validator', options),
  }
}

/** @throws NodeError `options`, never with the key in it. */
export function privateKeyOf(role: string, key: string): Uint8Array {
  try {
    return parsePrivateKey(key)
  } catch (error) {
    throw userError('options', `the ${role}'s key cannot be used: ${messageOf(error)}`)
  }
}

/** Everything that must never be printed. */
export function secretsOf(options: NodeOptions): string[] {
  const keys = KEY_ROLES.map((role) => options[`${role}Key`])
  return [...keys, options.password].filter((value): value is string => !!value)
}
