/**
 * A picture or a sound that a row names: what the row says of it, and what its bytes say themselves. Formats are a
 * fixed list, told by their first bytes; nothing that can hold a script (SVG, PDF, HTML) is on it.
 *
 * Such a row belongs to a weaker tier of attribution (genesis/README.md, Rows): it is found by its words, the caption or
 * transcript, and paid when it is retrieved by them. Nothing is trained on it.
 */
import { type Hex, keccakHex } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'

/** Media type -> endings of files that say it, the usual one first. */
export const ENDINGS = {
  'image/png': ['png'],
  'image/jpeg': ['jpg', 'jpeg'],
  'image/webp': ['webp'],
  'audio/wav': ['wav'],
  'audio/flac': ['flac'],
  'audio/mpeg': ['mp3'],
  'audio/ogg': ['ogg', 'oga', 'opus'],
} as const

export type MediaType = keyof typeof ENDINGS
export const MEDIA_TYPES = Object.keys(ENDINGS) as readonly MediaType[]
export const MEDIA_KINDS = ['image', 'audio'] as const
export type MediaKind = (typeof MEDIA_KINDS)[number]

export type Media = {
  /** keccak256 of the bytes, which are content. */
  readonly hash: Hex
  readonly type: MediaType
  /** How many. */
  readonly bytes: number
}

/** How a row is paid: by influence, quotes and retrieval, or by retrieval alone. */
export type Tier = 'full' | 'retrieval'

export const MEDIA_BYTES_MAX: number = 16 * 2 ** 20
/** Bytes that tell the format, but for an Ogg page whose codec stands later. */
export const MEDIA_HEAD_BYTES = 512

export function tierOf({ media }: { readonly media?: Media | undefined }): Tier {
  return media ? 'retrieval' : 'full'
}

export function kindOf(type: MediaType): MediaKind {
  return type.startsWith('image/') ? 'image' : 'audio'
}

/** What a file's name says it is; null when it says nothing of a picture or sound. */
export function typeOfName(name: string): MediaType | null {
  const ending = name.toLowerCase().match(/\.([a-z0-9]+)$/)?.[1] ?? ''
  return MEDIA_TYPES.find((type) => (ENDINGS[type] as readonly string[]).includes(ending)) ?? null
}

/** What the first bytes say they are (the whole, or `MEDIA_HEAD_BYTES` of it); null for anything else. */
export function typeOfBytes(bytes: Uint8Array): MediaType | null {
  const has = (at: number, text: string): boolean =>
    [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0))
  if (has(0, '\x89PNG\r\n\x1a\n') && has(12, 'IHDR')) return 'image/png'
  if (has(0, '\xff\xd8\xff')) return 'image/jpeg'
  if (has(0, 'RIFF') && has(8, 'WEBPVP8')) return 'image/webp'
  if (has(0, 'RIFF') && has(8, 'WAVE')) return 'audio/wav'
  if (has(0, 'fLaC')) return 'audio/flac'
  if (has(0, 'ID3') || isMp3Frame(bytes)) return 'audio/mpeg'
  if (has(0, 'OggS')) {
    // The first page holds one packet: the head of the codec. Video in Ogg is not on the list.
    const packet = 27 + (bytes[26] ?? 0)
    const codecs = ['OpusHead', '\x01vorbis', '\x7fFLAC', 'Speex   ']
    return codecs.some((codec) => has(packet, codec)) ? 'audio/ogg' : null
  }
  return null
}

/** ISO 11172-3: sync, a known version, layer III, a bit rate and a sampling rate that exist. */
function isMp3Frame([sync, head = 0, rates = 0]: Uint8Array): boolean {
  const version = (head >> 3) & 3
  const bitRate = rates >> 4
  const isLayer3 = ((head >> 1) & 3) === 1
  return (
    sync === 0xff &&
    head >= 0xe0 &&
    version !== 1 &&
    isLayer3 &&
    bitRate !== 0 &&
    bitRate !== 15 &&
    ((rates >> 2) & 3) !== 3
  )
}

/**
 * What a row says of bytes. @param said by a file's name, or a header
 * @throws NodeError `datanet-media` when they are too many, no picture or sound, or not what was said
 */
export function mediaOf(bytes: Uint8Array, said: MediaType | null): Media {
  if (bytes.length > MEDIA_BYTES_MAX)
    throw bad(`has ${bytes.length} bytes; at most ${MEDIA_BYTES_MAX}`)
  const type = typeOfBytes(bytes)
  if (!type) throw bad(`is no picture or sound that is known: ${MEDIA_TYPES.join(', ')}`)
  if (said && said !== type) throw bad(`is called ${said}; its bytes are ${type}`)
  return { hash: keccakHex(bytes), type, bytes: bytes.length }
}

/** What keeps content from being what a row says of it; null: it is that. @param content size, and what it begins with */
export function mediaFault(
  { type, bytes }: Media,
  content: { readonly type: string | null; readonly bytes: number },
): string | null {
  if (content.bytes !== bytes) return `has ${content.bytes} bytes; its row says ${bytes}`
  return content.type === type ? null : `is ${content.type ?? 'unknown'}; its row says ${type}`
}

/** Out of plain data. @throws NodeError `datanet-media` */
export function parseMedia(value: unknown): Media {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad('is not an object of hash, type and bytes')
  const { hash, type, bytes, ...rest } = value as Record<string, unknown>
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw bad(`has the unknown field '${unknown}'`)
  if (typeof hash !== 'string' || !/^0x[0-9a-f]{64}$/.test(hash))
    throw bad("needs a 'hash' of 32 bytes of 0x hex")
  if (!MEDIA_TYPES.includes(type as MediaType))
    throw bad(`has type ${JSON.stringify(type)}; known: ${MEDIA_TYPES.join(', ')}`)
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 1 || (bytes as number) > MEDIA_BYTES_MAX)
    throw bad(`has ${JSON.stringify(bytes)} bytes; 1 to ${MEDIA_BYTES_MAX}`)
  return { hash: hash as Hex, type: type as MediaType, bytes: bytes as number }
}

function bad(why: string): Error {
  return userError('datanet-media', `its media ${why}`)
}
