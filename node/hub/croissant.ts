/**
 * A Datanet version as a Croissant 1.1 description (JSON-LD, http://mlcommons.org/croissant/1.1): who made it, under
 * which terms, the file of its rows with its SHA-256, and how records are read out of it. Pure.
 */
import { type Licence, namesOf, PERMISSIONS, PURPOSES } from '../datanet/licence.ts'
import type { Schema } from '../datanet/schema.ts'
import type { DatanetRecord, VersionRecord } from '../model/registry.ts'

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
    recordSet: [recordSet(input)],
  }
}

function recordSet({ schema, file }: CroissantInput): object {
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
      ...meta,
    ],
  }
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
