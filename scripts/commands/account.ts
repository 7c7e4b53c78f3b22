/** `openledger account`: keys in keystore v3 files, in the data directory's `keystore/`. */
import { join } from 'node:path'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { toHex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { addressOfKey } from '../../node/base/keys.ts'
import {
  keystoreFileName,
  listKeystores,
  readKeystore,
  readSecretFile,
  writeSecretFile,
} from '../../node/keys/files.ts'
import { decryptKey, encryptKey } from '../../node/keys/keystore.ts'
import { passwordOf, privateKeyOf } from '../../node/keys/resolve.ts'
import type { NodeOptions } from '../../node/options.ts'
import { passwordPrompt, readStdin } from '../cli/ask.ts'
import type { Call, Command } from '../cli/command.ts'
import { JSON_FLAG, show } from '../cli/result.ts'

const KEYSTORE_FOLDER = 'keystore'
const PASSWORD_NOTE = `The password comes from --password-file, OPENLEDGER_PASSWORD or, on a terminal, a question.`

const accountNew: Command = {
  name: 'account new',
  summary: 'Makes a key and keeps it encrypted',
  flags: JSON_FLAG,
  options: ['node', 'keys'],
  notes: PASSWORD_NOTE,
  run: async (call) => {
    const { options } = call.configure()
    await store(call, options, secp256k1.utils.randomSecretKey())
    return undefined
  },
}

const accountImport: Command = {
  name: 'account import',
  summary: 'Encrypts a key given as hex, in a file (mode 0600) or on standard input (-)',
  args: '<file>',
  flags: JSON_FLAG,
  options: ['node', 'keys'],
  notes: PASSWORD_NOTE,
  run: async (call) => {
    const { options } = call.configure()
    const [file = '-'] = call.args
    const hex = file === '-' ? await readStdin('the key') : readSecretFile(file, 'key file')
    const key = privateKeyOf('imported account', withPrefix(hex.trim()))
    await store(call, options, key)
    return undefined
  },
}

const accountList: Command = {
  name: 'account list',
  summary: 'Lists the keys in the data directory',
  flags: JSON_FLAG,
  options: ['node'],
  run: async ({ configure, switches }) => {
    const found = listKeystores(join(configure().options.dataDir, KEYSTORE_FOLDER))
    if (switches.has('json')) process.stdout.write(`${JSON.stringify(found)}\n`)
    else
      for (const { address, path } of found)
        process.stdout.write(`${address ?? '(none)'} ${path}\n`)
    return undefined
  },
}

const accountExport: Command = {
  name: 'account export',
  summary: 'Writes a key as hex to standard output; whoever sees it owns the account',
  args: '<address-or-file>',
  flags: { 'yes-show-the-key': { help: 'needed: says that you mean it' }, ...JSON_FLAG },
  options: ['node', 'keys'],
  notes: PASSWORD_NOTE,
  run: async (call) => {
    const { options } = call.configure()
    if (!call.switches.has('yes-show-the-key')) {
      throw userError('usage', 'this shows the private key: add --yes-show-the-key')
    }
    const path = fileOf(options, call.args[0] as string)
    const key = decryptKey(
      readKeystore(path),
      await passwordOf(options, `password of ${path}`, passwordPrompt()),
    )
    show(call, { path, privateKey: toHex(key) }, [toHex(key)])
    return undefined
  },
}

export const accountCommands: readonly Command[] = [
  accountNew,
  accountList,
  accountImport,
  accountExport,
]

async function store(call: Call, options: NodeOptions, key: Uint8Array): Promise<void> {
  const folder = join(options.dataDir, KEYSTORE_FOLDER)
  const address = addressOfKey(key)
  const twin = listKeystores(folder).find((file) => file.address === address)
  if (twin) throw userError('key-file', `${address} is in ${twin.path} already`)
  const keystore = encryptKey(key, await newPassword(options))
  const path = join(folder, keystoreFileName(keystore, new Date()))
  writeSecretFile(path, `${JSON.stringify(keystore)}\n`)
  if (call.switches.has('json')) process.stdout.write(`${JSON.stringify({ address, path })}\n`)
  else process.stdout.write(`${address} ${path}\n`)
}

function fileOf({ dataDir }: NodeOptions, named: string): string {
  if (!/^(0x)?[0-9a-fA-F]{40}$/.test(named)) return named
  const address = withPrefix(named).toLowerCase()
  const found = listKeystores(join(dataDir, KEYSTORE_FOLDER)).find(
    (file) => file.address === address,
  )
  if (found) return found.path
  throw userError('key-file', `no keystore of ${address} in ${join(dataDir, KEYSTORE_FOLDER)}`)
}

/** Asked twice where a person types it blind. */
async function newPassword(options: NodeOptions): Promise<string> {
  const first = await passwordOf(options, 'password for the new key', passwordPrompt())
  if (first === '') throw userError('options', 'the password is empty')
  const isTyped = options.passwordFile === null && options.password === null
  if (isTyped && (await passwordPrompt()?.('once more: ')) !== first) {
    throw userError('options', 'the two passwords differ')
  }
  return first
}

function withPrefix(hex: string): string {
  return hex.startsWith('0x') ? hex : `0x${hex}`
}
