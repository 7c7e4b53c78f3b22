/**
 * Directories in and out of the content store. `importDirectory` keeps every file and the manifest;
 * `materialise` lays the directory out again for readers that want real files (native, Hugging Face
 * tools), fetching what is not here through a function handed in. A target appears whole or not at
 * all: it is built beside itself and renamed.
 */
import { constants } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Hex, keccakHex } from '../base/bytes.ts'
import { ContentError } from './errors.ts'
import {
  assertName,
  type DirectoryManifest,
  decodeManifest,
  encodeManifest,
  type ManifestFile,
} from './manifest.ts'
import { DIRECTORY_FILES_MAX, MANIFEST_BYTES_MAX, NAME_DEPTH_MAX } from './options.ts'
import { type ContentStore, hashFile } from './store.ts'

/** Gives the bytes of a hash from elsewhere. The caller checks them; `bytesMax` is what it will take. */
export type FetchContent = (hash: Hex, limit: { bytesMax: number }) => Promise<Uint8Array>

/** The content hash of a directory as it stands, storing nothing. */
export async function hashDirectory(dir: string): Promise<Hex> {
  const files: ManifestFile[] = []
  for (const name of await namesIn(dir)) {
    files.push({ name, ...(await hashFile(join(dir, name))) })
  }
  return keccakHex(encodeManifest({ files }))
}

/** Stores every file and the manifest; the hash of the manifest names the directory. */
export async function importDirectory(store: ContentStore, dir: string): Promise<Hex> {
  const files: ManifestFile[] = []
  for (const name of await namesIn(dir)) {
    const hash = await store.putFile(join(dir, name))
    files.push({ name, hash, size: (await store.size(hash)) as number })
  }
  return store.put(encodeManifest({ files }))
}

/** @throws ContentError `content-missing`, `bad-manifest`, `bad-name`. */
export async function readManifest(store: ContentStore, hash: Hex): Promise<DirectoryManifest> {
  return decodeManifest(await store.get(hash))
}

/**
 * Lays directory `hash` out at `target`. A target that already holds exactly this directory is left as
 * it is; one that holds anything else is refused.
 */
export async function materialise(
  store: ContentStore,
  request: { hash: Hex; target: string; fetch?: FetchContent },
): Promise<DirectoryManifest> {
  const { hash, target, fetch } = request
  await ensure(store, { hash, bytesMax: MANIFEST_BYTES_MAX, fetch })
  const manifest = await readManifest(store, hash)
  if (await stat(target).catch(() => undefined)) {
    if ((await hashDirectory(target)) === hash) return manifest
    throw new ContentError('target-exists', `${target} holds something other than ${hash}`, {
      hash,
    })
  }
  for (const file of manifest.files) {
    await ensure(store, { hash: file.hash, bytesMax: file.size, fetch })
  }
  await mkdir(dirname(target), { recursive: true })
  const building = await mkdtemp(join(dirname(target), `.${basename(target)}-`))
  try {
    for (const file of manifest.files) {
      const path = join(building, file.name)
      await mkdir(dirname(path), { recursive: true })
      await store.verify(file.hash)
      await copyFile(store.path(file.hash), path, constants.COPYFILE_FICLONE)
      if ((await stat(path)).size !== file.size) {
        throw new ContentError('bad-manifest', `${file.name} does not have its stated size`, {
          hash,
        })
      }
    }
    await rename(building, target)
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    throw error
  }
  return manifest
}

/** Content from here, or fetched, checked and kept. @throws ContentError `content-missing`, `content-corrupt`. */
export async function readContent(store: ContentStore, want: Wanted): Promise<Uint8Array> {
  await ensure(store, want)
  return store.get(want.hash)
}

type Wanted = {
  readonly hash: Hex
  readonly bytesMax: number
  readonly fetch: FetchContent | undefined
}

async function ensure(store: ContentStore, want: Wanted): Promise<void> {
  if (await store.has(want.hash)) return
  if (!want.fetch) {
    throw new ContentError('content-missing', `no content ${want.hash} here`, { hash: want.hash })
  }
  const bytes = await want.fetch(want.hash, { bytesMax: want.bytesMax })
  // What comes from peers was hashed as it came; `put` hashes what is large beside the event loop.
  if ((await store.put(bytes)) !== want.hash) {
    throw new ContentError('content-corrupt', `what was fetched as ${want.hash} is not it`, {
      hash: want.hash,
    })
  }
}

/** Regular files below `dir`, `/` between segments. Links and devices are refused, not skipped: a
 * skipped file would change the hash between machines. */
async function namesIn(dir: string, prefix = '', depth = 1): Promise<string[]> {
  const names: string[] = []
  for (const entry of await readdir(join(dir, prefix), { withFileTypes: true })) {
    const name = prefix ? `${prefix}/${entry.name}` : entry.name
    if (entry.isFile()) {
      assertName(name)
      names.push(name)
    } else if (entry.isDirectory() && depth < NAME_DEPTH_MAX) {
      names.push(...(await namesIn(dir, name, depth + 1)))
    } else {
      const what = entry.isDirectory() ? 'is nested too deep' : 'is neither a file nor a directory'
      throw new ContentError('bad-directory', `${name} in ${dir} ${what}`, { name })
    }
    if (names.length > DIRECTORY_FILES_MAX) {
      throw new ContentError('bad-directory', `${dir} has more than ${DIRECTORY_FILES_MAX} files`)
    }
  }
  return names
}
