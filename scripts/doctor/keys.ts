/** Whether the keys that the role signs with are there and are the right ones; none is decrypted or shown. */
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { messageOf } from '../../node/base/errors.ts'
import { addressOfKey } from '../../node/base/keys.ts'
import { readKeystore } from '../../node/keys/files.ts'
import { keystoreAddress } from '../../node/keys/keystore.ts'
import { KEY_ROLES, type KeyRole, optionalSigner, privateKeyOf } from '../../node/keys/resolve.ts'
import type { NodeOptions } from '../../node/options.ts'
import { type Finding, ok, warn, wrong } from './examine.ts'

export async function examineKeys(
  options: NodeOptions,
  config: ChainConfig | null,
): Promise<Finding[]> {
  const system = config?.genesis.systemConfig
  const expected: Partial<Record<KeyRole, Hex | undefined>> = {
    sequencer: system?.unsafeBlockSigner,
    batcher: system?.batcher,
  }
  const needed: readonly KeyRole[] =
    options.role === 'sequencer'
      ? ['sequencer', 'batcher']
      : options.role === 'validator'
        ? ['validator']
        : []
  const roles = KEY_ROLES.filter(
    (role) =>
      needed.includes(role) ||
      options[`${role}Key`] ||
      options[`${role}Keystore`] ||
      options[`${role}Signer`],
  )
  return Promise.all(roles.map((role) => examineKey(role, options, expected[role])))
}

async function examineKey(
  role: KeyRole,
  options: NodeOptions,
  expected: Hex | undefined,
): Promise<Finding> {
  const name = `${role} key`
  try {
    const given = options[`${role}Signer`]
    if (given !== null) {
      const isNamedByChain = role === 'sequencer' || role === 'batcher'
      if (isNamedByChain && !expected && !given.includes('#'))
        return warn(name, 'remote, and not checked without a rollup.json', 'mend that')
      const signer = optionalSigner(role, options, expected)
      await signer?.check()
      return ok(name, `${signer?.address} at the remote signer`)
    }
    const address = localAddress(role, options)
    if (address === null) {
      const remedy = `set OPENLEDGER_${role.toUpperCase()}_KEY, --${role}-keystore or --${role}-signer`
      return wrong(name, 'it is missing', remedy)
    }
    if (expected && address !== expected) {
      const remedy = `use the key of ${expected}`
      return wrong(name, `${address}; the chain configuration names ${expected}`, remedy)
    }
    return ok(name, address)
  } catch (error) {
    return wrong(name, messageOf(error), 'see the message')
  }
}

function localAddress(role: KeyRole, options: NodeOptions): string | null {
  const [key, file] = [options[`${role}Key`], options[`${role}Keystore`]]
  if (key !== null) return addressOfKey(privateKeyOf(role, key))
  if (file === null) return null
  return keystoreAddress(readKeystore(file)) ?? '(the keystore does not name its address)'
}
