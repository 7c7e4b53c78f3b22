/**
 * Pictures and sounds beside rows: a row of a file names one by its path from the file's folder; a folder without such a
 * file has a row for each picture or sound in it, whose words are in the text file of the same name.
 *
 *   {"text":"A lighthouse at dusk.","media":"photos/dusk.jpg"}          dusk.jpg + dusk.txt
 */
import { isUtf8 } from 'node:buffer'
import { open, readdir, realpath } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { messageOf, userError } from '../base/errors.ts'
import { MEDIA_BYTES_MAX, type Media, mediaOf, typeOfName } from './media.ts'

type FoundMedia = {
  readonly media: Media
  /** Where its bytes are. */
  readonly path: string
}

export const FOLDER_FILES_MAX = 100_000
const FOLDER_DEPTH_MAX = 8

/**
 * What a file in the folder is.
 * @param name as a row names it, `/` between its parts
 * @throws NodeError `datanet-media` when it leads out of the folder, cannot be read, or is not what its name says
 */
export async function readMedia(folder: string, name: unknown): Promise<FoundMedia> {
  if (typeof name !== 'string' || name === '')
    throw userError('datanet-media', "has a 'media' that is no file's name")
  const path = await insideOf(folder, name)
  const bytes = await readBounded(path, name)
  try {
    return { media: mediaOf(bytes, typeOfName(name)), path }
  } catch (error) {
    throw userError('datanet-media', `${name}: ${messageOf(error)}`)
  }
}

/** Rows of a folder in the order of their names (UTF-16 code units); files whose name begins with a dot are passed over. */
export async function* folderRows(
  folder: string,
): AsyncGenerator<{ readonly value: unknown } | { readonly fault: string }> {
  const names = await namesIn(folder)
  const all = new Set(names)
  const bare = (name: string): string => name.replace(/\.[^./]*$/, '')
  const captioned = new Set(names.filter((name) => typeOfName(name)).map(bare))
  for (const name of names) {
    const caption = `${bare(name)}.txt`
    if (typeOfName(name)) {
      if (all.has(caption)) yield await captionedRow(folder, name, caption)
      else yield { fault: `${name}: has no caption: write it into ${caption}` }
    } else if (!(name === caption && captioned.has(bare(name)))) {
      yield { fault: `${name}: is no picture or sound, and no caption of one` }
    }
  }
}

async function captionedRow(
  folder: string,
  media: string,
  caption: string,
): Promise<{ value: unknown } | { fault: string }> {
  try {
    const bytes = await readBounded(await insideOf(folder, caption), caption)
    if (!isUtf8(bytes)) return { fault: `${caption}: is not UTF-8` }
    const text = new TextDecoder().decode(bytes).trim()
    return text === '' ? { fault: `${caption}: is empty` } : { value: { text, media } }
  } catch (error) {
    return { fault: messageOf(error) }
  }
}

/** @throws NodeError `datanet-format` when there is too much of it. */
async function namesIn(folder: string, prefix = '', depth = 1): Promise<string[]> {
  const names: string[] = []
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const name = prefix ? `${prefix}/${entry.name}` : entry.name
    if (entry.name.startsWith('.')) continue
    if (!entry.isDirectory()) names.push(name)
    else if (depth < FOLDER_DEPTH_MAX) names.push(...(await namesIn(folder, name, depth + 1)))
    else throw userError('datanet-format', `${name} is nested deeper than ${FOLDER_DEPTH_MAX}`)
    if (names.length > FOLDER_FILES_MAX)
      throw userError('datanet-format', `${folder} has more than ${FOLDER_FILES_MAX} files`)
  }
  return names.sort((a, b) => (a < b ? -1 : 1))
}

/** Whoever wrote the file of rows may not choose what else of the disk is given away. */
async function insideOf(folder: string, name: string): Promise<string> {
  const [root, path] = await Promise.all([
    realpath(folder),
    realpath(join(folder, name)).catch(() => {
      throw userError('datanet-media', `names ${name}, which is not there`)
    }),
  ])
  const way = relative(root, path)
  if (way.split(sep)[0] === '..' || way === '' || join(root, way) !== path)
    throw userError('datanet-media', `names ${name}, which is outside of the file's folder`)
  return path
}

async function readBounded(path: string, name: string): Promise<Uint8Array> {
  const file = await open(path, 'r')
  try {
    const found = await file.stat()
    if (!found.isFile()) throw userError('datanet-media', `names ${name}, which is no file`)
    if (found.size > MEDIA_BYTES_MAX)
      throw userError(
        'datanet-media',
        `${name}: has ${found.size} bytes; at most ${MEDIA_BYTES_MAX}`,
      )
    return await file.readFile()
  } finally {
    await file.close()
  }
}
