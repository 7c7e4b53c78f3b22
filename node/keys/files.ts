/**
 * Secrets in files: read only when nobody else can read them, written so that nobody else can.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Hex } from '../base/bytes.ts'
import { messageOf, userError } from '../base/errors.ts'
import { type Keystore, keystoreAddress, parseKeystore } from './keystore.ts'

const SECRET_MODE = 0o600
const OTHERS = 0o077

/** @throws NodeError `key-file` when it is missing, or others may read it. */
export function readSecretFile(path: string, what: string): string {
  assertPrivate(path, what)
  return readFileSync(path, 'utf8')
}

/** @throws NodeError `key-file` naming the mode and the command that mends it. */
export function assertPrivate(path: string, what: string): void {
  let mode: number
  try {
    mode = statSync(path).mode
  } catch (error) {
    throw userError('key-file', `cannot read the ${what} ${path}: ${messageOf(error)}`)
  }
  if (process.platform === 'win32' || (mode & OTHERS) === 0) return
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  throw userError(
    'key-file',
    `others can read the ${what} ${path} (mode ${octal}): run chmod 600 ${path}`,
  )
}

/** Whole or not at all, readable by the owner alone; never over a file that is there. */
export function writeSecretFile(path: string, text: string): void {
  if (existsSync(path)) throw userError('key-file', `${path} is there already: it is left as it is`)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}.tmp`
  writeFileSync(draft, text, { mode: SECRET_MODE, flag: 'wx' })
  chmodSync(draft, SECRET_MODE)
  renameSync(draft, path)
}

export type KeyFile = { readonly path: string; readonly address: Hex | null }

/** Every keystore in a folder, by name; files of other kinds are passed over. */
export function listKeystores(folder: string): KeyFile[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .flatMap((name): KeyFile[] => {
      const path = join(folder, name)
      try {
        return [
          { path, address: keystoreAddress(parseKeystore(readFileSync(path, 'utf8'))) ?? null },
        ]
      } catch {
        return []
      }
    })
}

/** geth's file name: UTC--<time>--<address>. */
export function keystoreFileName({ address }: Keystore, at: Date): string {
  return `UTC--${at.toISOString().replaceAll(':', '-')}--${address}`
}

/** @throws NodeError `key-file` or `keystore` */
export function readKeystore(path: string): Keystore {
  return parseKeystore(readSecretFile(path, 'keystore'))
}
