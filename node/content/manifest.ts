/**
 * The manifest of a directory artefact (a Hugging Face model, a PEFT adapter): which files it has,
 * their sizes and content hashes, as canonical JSON. The keccak256 of these bytes *is* the
 * directory's content hash, so the same files under the same names have one hash on every machine:
 *
 *   {"files":[{"hash":"0x…","name":"adapter_config.json","size":612},…],"format":"openledger-directory/1"}
 *
 * Files are sorted by name (UTF-16 code units). Times, modes and empty folders are no part of it.
 */
import { bytesEqual, type Hex, utf8 } from '../base/bytes.ts'
import { canonicalJson } from '../base/canonical.ts'
import { ContentError } from './errors.ts'
import {
  CONTENT_BYTES_MAX,
  DIRECTORY_FILES_MAX,
  MANIFEST_BYTES_MAX,
  NAME_BYTES_MAX,
  NAME_DEPTH_MAX,
} from './options.ts'

export type ManifestFile = { readonly name: string; readonly size: number; readonly hash: Hex }
export type DirectoryManifest = { readonly files: readonly ManifestFile[] }

const FORMAT = 'openledger-directory/1'

/** Sorts the files. @throws ContentError `bad-name`, `bad-manifest`. */
export function encodeManifest(manifest: DirectoryManifest): Uint8Array {
  const files = [...manifest.files].sort((a, b) => (a.name < b.name ? -1 : 1))
  assertFiles(files)
  const bytes = utf8(
    canonicalJson({
      format: FORMAT,
      files: files.map(({ name, size, hash }) => ({ name, size, hash })),
    }),
  )
  if (bytes.length > MANIFEST_BYTES_MAX) throw bad(`longer than ${MANIFEST_BYTES_MAX} bytes`)
  return bytes
}

/** Accepts only the canonical spelling. @throws ContentError `bad-name`, `bad-manifest`. */
export function decodeManifest(bytes: Uint8Array): DirectoryManifest {
  if (bytes.length > MANIFEST_BYTES_MAX) throw bad(`longer than ${MANIFEST_BYTES_MAX} bytes`)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw bad('not JSON')
  }
  if (!isRecord(value) || value.format !== FORMAT) throw bad(`format is not ${FORMAT}`)
  if (!Array.isArray(value.files)) throw bad('files is not a list')
  const manifest = { files: value.files.map(fileOf) }
  assertFiles(manifest.files)
  if (!bytesEqual(encodeManifest(manifest), bytes)) throw bad('not in canonical form')
  return manifest
}

/** A name that stays inside its directory on every operating system.
 * @throws ContentError `bad-name`. */
export function assertName(name: string): void {
  const fault = nameFault(name)
  if (!fault) return
  const shown = JSON.stringify(name.slice(0, 80))
  throw new ContentError('bad-name', `file name ${shown}: ${fault}`, { name: name.slice(0, 80) })
}

function nameFault(name: string): string | undefined {
  if (name.length === 0) return 'is empty'
  if (utf8(name).length > NAME_BYTES_MAX) return `is longer than ${NAME_BYTES_MAX} bytes`
  if (!name.isWellFormed() || name.normalize('NFC') !== name) return 'is not normalised Unicode'
  // Control characters, and what Windows gives a meaning of its own.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f\\:*?"<>|]/.test(name)) return 'has a character that is not allowed'
  const segments = name.split('/')
  if (segments.length > NAME_DEPTH_MAX) return `has more than ${NAME_DEPTH_MAX} segments`
  if (segments.some((s) => s === '' || s === '.' || s === '..')) return 'leaves its directory'
  if (segments.some((s) => /[. ]$/.test(s))) return 'has a segment that ends in a dot or a space'
  return undefined
}

function assertFiles(files: readonly ManifestFile[]): void {
  if (files.length === 0) throw bad('it has no files')
  if (files.length > DIRECTORY_FILES_MAX) throw bad(`more than ${DIRECTORY_FILES_MAX} files`)
  const seen = new Set<string>()
  for (const file of files) {
    assertName(file.name)
    if (!/^0x[0-9a-f]{64}$/.test(file.hash)) throw bad(`the hash of ${file.name}`)
    if (!Number.isSafeInteger(file.size) || file.size < 0 || file.size > CONTENT_BYTES_MAX) {
      throw bad(`the size of ${file.name}`)
    }
    const folded = file.name.toLowerCase()
    if (seen.has(folded)) throw bad(`${file.name} stands in it twice`)
    seen.add(folded)
  }
  for (const file of files) {
    const segments = file.name.toLowerCase().split('/')
    for (let n = 1; n < segments.length; n++) {
      const parent = segments.slice(0, n).join('/')
      if (seen.has(parent)) throw bad(`${parent} is a file and a folder`)
    }
  }
}

function fileOf(value: unknown): ManifestFile {
  if (!isRecord(value) || Object.keys(value).length !== 3) throw bad('an entry has other fields')
  const { name, size, hash } = value
  if (typeof name !== 'string' || typeof size !== 'number' || typeof hash !== 'string') {
    throw bad('an entry has a field of the wrong type')
  }
  return { name, size, hash: hash as Hex }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bad(what: string): ContentError {
  return new ContentError('bad-manifest', `not a directory manifest: ${what}`)
}
