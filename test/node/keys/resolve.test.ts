import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fromHex, type Hex } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import { parseOptions } from '../../../node/configure.ts'
import { assertPrivate, listKeystores, writeSecretFile } from '../../../node/keys/files.ts'
import { encryptKey } from '../../../node/keys/keystore.ts'
import {
  nodeSigners,
  openKeystores,
  optionalSigner,
  secretsOf,
  signerFor,
} from '../../../node/keys/resolve.ts'

const KEY: Hex = `0x${'4b'.repeat(32)}`
const ADDRESS = addressOfKey(fromHex(KEY))
const refuse = (message: string): never => {
  throw new Error(message)
}

function aKeystore(dir: string): string {
  const path = join(dir, 'keystore', 'k.json')
  writeSecretFile(path, JSON.stringify(encryptKey(fromHex(KEY), 'secret', { n: 2, r: 1, p: 1 })))
  return path
}

t.test('a keystore opens with the password of a file, the environment or a person', async (t) => {
  const dir = t.testdir()
  const keystore = { 'batcher-keystore': aKeystore(dir) }
  const passwordFile = join(dir, 'password')
  writeFileSync(passwordFile, 'secret\n', { mode: 0o600 })
  const ways = [
    openKeystores(parseOptions({ ...keystore, 'password-file': passwordFile }, {})),
    openKeystores(parseOptions(keystore, { OPENLEDGER_PASSWORD: 'secret' })),
    openKeystores(parseOptions(keystore, {}), async () => 'secret'),
  ]
  for (const options of await Promise.all(ways)) {
    t.equal(options.batcherKey, KEY)
    t.equal(signerFor('batcher', options, ADDRESS, refuse).address, ADDRESS)
    t.ok(secretsOf(options).includes(KEY))
  }
  await t.rejects(openKeystores(parseOptions(keystore, {})), /no password of .* was given/)
  const wrong = openKeystores(parseOptions(keystore, { OPENLEDGER_PASSWORD: 'other' }))
  await t.rejects(wrong, /k.json: .*the password is wrong/)
})

t.test('a key that others can read is refused, with the command that mends it', async (t) => {
  const path = aKeystore(t.testdir())
  t.equal(statSync(path).mode & 0o777, 0o600, 'written for the owner alone')
  chmodSync(path, 0o644)
  t.throws(() => assertPrivate(path, 'keystore'), /mode 0644.*chmod 600/)
  const options = parseOptions({ 'batcher-keystore': path }, { OPENLEDGER_PASSWORD: 'secret' })
  await t.rejects(openKeystores(options), /chmod 600/)
  t.throws(() => writeSecretFile(path, ''), /left as it is/, 'and never written over')
  t.match(listKeystores(join(path, '..')), [{ path, address: ADDRESS }])
})

t.test('no key, two keys and the wrong key are each refused in words', async (t) => {
  const none = parseOptions({}, {})
  t.throws(
    () => signerFor('batcher', none, ADDRESS, refuse),
    /OPENLEDGER_BATCHER_KEY, --batcher-keystore or --batcher-signer/,
  )
  const two = parseOptions({ 'batcher-signer': 'http://x' }, { OPENLEDGER_BATCHER_KEY: KEY })
  t.throws(() => signerFor('batcher', two, ADDRESS, refuse), /given twice/)
  const one = parseOptions({}, { OPENLEDGER_BATCHER_KEY: KEY })
  t.throws(
    () => signerFor('batcher', one, `0x${'00'.repeat(20)}`, refuse),
    /belongs to .* names 0x00/,
  )
  const bad = parseOptions({}, { OPENLEDGER_BATCHER_KEY: '0x1234567812345678' })
  const message = t.throws(() => signerFor('batcher', bad, ADDRESS, refuse)) as Error
  t.notMatch(message.message, /12345678/)
})

t.test('provider, sponsor and validator sign with a keystore or at a remote signer', async (t) => {
  const nobody = { provider: null, sponsor: null, validator: null }
  t.same(nodeSigners(parseOptions({}, {})), nobody)
  for (const role of ['provider', 'sponsor', 'validator'] as const) {
    const at = (url: string, flags = {}, env = {}) =>
      optionalSigner(role, parseOptions({ [`${role}-signer`]: url, ...flags }, env))
    t.equal(at(`http://signer:9000#${ADDRESS}`)?.address, ADDRESS)
    t.throws(() => at('http://signer:9000'), /must be a URL with the account, URL#0xADDRESS/)
    const both = { [`OPENLEDGER_${role.toUpperCase()}_KEY`]: KEY }
    t.throws(() => at(`http://signer:9000#${ADDRESS}`, {}, both), /given twice/)
    const other = { 'signer-protocol': 'op-signer' }
    t.throws(() => at(`http://signer:9000#${ADDRESS}`, other), /signs EIP-712 data.*use web3signer/)
    const keystore = { [`${role}-keystore`]: aKeystore(t.testdir()) }
    const opened = await openKeystores(parseOptions(keystore, { OPENLEDGER_PASSWORD: 'secret' }))
    t.equal(nodeSigners(opened)[role]?.address, ADDRESS)
  }
})
