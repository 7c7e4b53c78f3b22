/**
 * A Datanet version as a Croissant 1.1 description (JSON-LD, http://mlcommons.org/croissant/1.1): who made it, under
 * which terms, the file of its rows with its SHA-256, how records are read out of it, and where the pictures and sounds
 * that they name are by hash. Pure.
 */
import type { Hex } from '../base/bytes.ts'
import { type Licence, namesOf, PERMISSIONS, PURPOSES } from '../datanet/licence.ts'
import { kindOf, MEDIA_KINDS, type Media, type MediaKind } from '../datanet/media.ts'
import type { Schema } from '../datanet/schema.ts'
import type { DatanetRecord, VersionRecord } from '../model/registry.ts'
import { MEDIA_DESCRIBED_MAX } from './options.ts'

export type CroissantInput = {
  readonly datanet: Pick<DatanetRecord, 'id' | 'name' | 'owner'>
  readonly schema: Schema
  readonly version: Pick<
    VersionRecord,
    'rowsRoot' | 'rowCount' | 'manifestHash' | 'publishedAt'
  > & {
    readonly number: number
    readonly licence: Licence | null
  }
  readonly chainId: number
  /** Of the repository, as the Hub has it. */
  readonly url: string
  /** All rows in their order, one a line. */
  readonly file: {
    readonly path: string
    readonly url: string
    readonly size: number
    /** Hex. */
    readonly sha256: string
  }
  /** What rows name, each once; null: their schema has none. */
  readonly media: readonly Media[] | null
  /** Where content of such a hash is. */
  readonly mediaUrl: (hash: Hex) => string
}

/** What `mlcroissant` takes for the standard context of 1.1. */
const CONTEXT = {
  '@language': 'en',
  '@vocab': 'https://schema.org/',
  arrayShape: 'cr:arrayShape',
  citeAs: 'cr:citeAs',
  column: 'cr:column',
  conformsTo: 'dct:conformsTo',
  containedIn: 'cr:containedIn',
  cr: 'http://mlcommons.org/croissant/',
  rai: 'http://mlcommons.org/croissant/RAI/',
  data: { '@id': 'cr:data', '@type': '@json' },
  dataType: { '@id': 'cr:dataType', '@type': '@vocab' },
  dct: 'http://purl.org/dc/terms/',
  description: { '@container': '@language' },
  equivalentProperty: 'cr:equivalentProperty',
  examples: { '@id': 'cr:examples', '@type': '@json' },
  extract: 'cr:extract',
  field: 'cr:field',
  fileProperty: 'cr:fileProperty',
  fileObject: 'cr:fileObject',
  fileSet: 'cr:fileSet',
  format: 'cr:format',
  includes: 'cr:includes',
  isArray: 'cr:isArray',
  isLiveDataset: 'cr:isLiveDataset',
  jsonPath: 'cr:jsonPath',
  key: 'cr:key',
  md5: 'cr:md5',
  name: { '@container': '@language' },
  parentField: 'cr:parentField',
  path: 'cr:path',
  recordSet: 'cr:recordSet',
  references: 'cr:references',
  regex: 'cr:regex',
  repeated: 'cr:repeated',
  replace: 'cr:replace',
  samplingRate: 'cr:samplingRate',
  sc: 'https://schema.org/',
  separator: 'cr:separator',
  source: 'cr:source',
  subField: 'cr:subField',
  transform: 'cr:transform',
} as const

const TYPES = { string: 'sc:Text', number: 'sc:Float', boolean: 'sc:Boolean' } as const

export function croissantOf(input: CroissantInput): object {
  const { datanet, version, chainId, url, file } = input
  const { number, rowCount, rowsRoot, manifestHash } = version
  return {
    '@context': CONTEXT,
    '@type': 'sc:Dataset',
    '@id': url,
    name: datanet.name,
    description: `Version ${number} of Datanet ${datanet.id} of the OpenLedger chain ${chainId}: ${rowCount} rows. What models trained on it answer is attributed to its rows, and their contributors are paid. Private and erased rows are not in the file.`,
    conformsTo: 'http://mlcommons.org/croissant/1.1',
    url,
    version: `${number}.0.0`,
    license: licenceText(version.licence),
    datePublished: new Date(Number(version.publishedAt) * 1_000).toISOString().slice(0, 10),
    creator: { '@type': 'sc:Organization', name: datanet.owner },
    isAccessibleForFree: true,
    identifier: [`rows root ${rowsRoot}`, `manifest ${manifestHash}`],
    citeAs: `Datanet ${datanet.id} version ${number}, OpenLedger chain ${chainId}, rows root ${rowsRoot}`,
    distribution: [
      {
        '@type': 'cr:FileObject',
        '@id': file.path,
        name: file.path,
        contentUrl: file.url,
        contentSize: `${file.size} B`,
        encodingFormat: 'application/jsonlines',
        sha256: file.sha256,
      },
    ],
    recordSet: [recordSet(input), ...MEDIA_KINDS.flatMap((kind) => mediaSet(kind, input))],
  }
}

function recordSet({ schema, file, media }: CroissantInput): object {
  const from = (column: string, transform?: object): object => ({
    fileObject: { '@id': file.path },
    extract: { column },
    ...(transform ? { transform } : {}),
  })
  const meta = Object.entries(schema.meta ?? {}).map(([name, { type }]) => ({
    '@type': 'cr:Field',
    '@id': `rows/${name}`,
    name,
    dataType: TYPES[type],
    source: from('meta', { jsonPath: `$.${name}` }),
  }))
  return {
    '@type': 'cr:RecordSet',
    '@id': 'rows',
    name: 'rows',
    description: 'A row: what a contributor owns and is paid for.',
    field: [
      {
        '@type': 'cr:Field',
        '@id': 'rows/text',
        name: 'text',
        description: 'What models are trained on.',
        dataType: 'sc:Text',
        source: from('text'),
      },
      ...(media ? [mediaField(schema, from)] : []),
      ...meta,
    ],
  }
}

/** What a row says of its picture or sound: of a weaker tier, found by the words beside it. */
function mediaField(
  { media }: Schema,
  from: (column: string, transform: object) => object,
): object {
  const sub = (name: string, dataType: string, jsonPath: string): object => ({
    '@type': 'cr:Field',
    '@id': `rows/media/${name}`,
    name,
    dataType,
    source: from('media', { jsonPath }),
  })
  return {
    '@type': 'cr:Field',
    '@id': 'rows/media',
    name: 'media',
    description:
      'Retrieved by the text beside it, and paid for that (tier: retrieval); nothing is trained on it. `hash` is the keccak256 of its bytes.',
    dataType: (media?.kinds ?? MEDIA_KINDS).map((kind) => MEDIA_SETS[kind].type),
    subField: [
      sub('hash', 'sc:Text', '$.hash'),
      sub('encodingFormat', 'sc:Text', '$.type'),
      sub('contentSize', 'sc:Integer', '$.bytes'),
    ],
  }
}

const MEDIA_SETS = {
  image: { id: 'images', type: 'sc:ImageObject' },
  audio: { id: 'sounds', type: 'sc:AudioObject' },
} as const

/** The pictures, or the sounds, with their addresses; none where there are none. */
function mediaSet(kind: MediaKind, { media, mediaUrl }: CroissantInput): object[] {
  const all = (media ?? []).filter(({ type }) => kindOf(type) === kind)
  if (all.length === 0) return []
  const { id, type: dataType } = MEDIA_SETS[kind]
  const field = (name: string, of: string): object => ({
    '@type': 'cr:Field',
    '@id': `${id}/${name}`,
    name,
    dataType: of,
  })
  const shown = all.slice(0, MEDIA_DESCRIBED_MAX)
  return [
    {
      '@type': 'cr:RecordSet',
      '@id': id,
      name: id,
      description: `${shown.length} of ${all.length}, by the hash that rows name them by; the address of any is the same with its hash.`,
      dataType,
      key: { '@id': `${id}/hash` },
      field: [
        field('hash', 'sc:Text'),
        field('contentUrl', 'sc:URL'),
        field('encodingFormat', 'sc:Text'),
        field('contentSize', 'sc:Integer'),
      ],
      data: shown.map(({ hash, type, bytes }) => ({
        [`${id}/hash`]: hash,
        [`${id}/contentUrl`]: mediaUrl(hash),
        [`${id}/encodingFormat`]: type,
        [`${id}/contentSize`]: bytes,
      })),
    },
  ]
}

function licenceText(licence: Licence | null): string {
  if (!licence) return 'none known'
  const purposes = namesOf(licence.purposes, PURPOSES)
  return [
    `OpenLedger machine-readable terms: ${namesOf(licence.permissions, PERMISSIONS).join(', ') || 'nothing'} allowed`,
    purposes.length > 0 ? `for ${purposes.join(', ')}` : 'for any purpose',
    `at least ${licence.contributorsMin} of 10000 parts of a fee to contributors`,
    ...(licence.expiresAt > 0n ? [`until ${licence.expiresAt} (Unix seconds)`] : []),
  ].join('; ')
}
