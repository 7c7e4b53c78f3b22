/**
 * Cards (README.md) of repositories: YAML that Hugging Face tools read, then where the thing stands on chain, so that
 * whoever has the files alone can find who made them.
 */
import type { Licence } from '../datanet/licence.ts'
import { PERMISSIONS } from '../datanet/licence.ts'
import type { BaseModel } from '../model/base.ts'
import type { DatanetRecord, ModelRecord, VersionRecord } from '../model/registry.ts'

export function modelCard(model: ModelRecord, base: string): string {
  const datasets = model.datanetIds.map((id) => `openledger/datanet-${id}`)
  return card(
    {
      library_name: 'peft',
      base_model: base,
      tags: ['openledger', 'lora'],
      ...(datasets.length > 0 && { datasets }),
    },
    model.name || model.id,
    [
      'A LoRA adapter registered on OpenLedger: what it answers is attributed to the rows it was trained on, and',
      'their contributors are paid.',
      '',
      `- Model: \`${model.id}\`, owned by \`${model.owner}\``,
      `- Base: \`${model.baseHash}\``,
      `- Adapter: \`${model.adapterHash}\``,
      `- Training manifest: \`${model.manifestHash}\``,
      ...model.datanetIds.map(
        (id, i) => `- Trained on Datanet ${id}, version ${model.versions[i]}`,
      ),
    ],
  )
}

export function baseCard(base: Pick<BaseModel, 'hash' | 'name' | 'precision'>): string {
  return card({ library_name: 'transformers', tags: ['openledger'] }, base.name, [
    `The base model resident on this node, computed in ${base.precision}: \`${base.hash}\`.`,
  ])
}

export function datanetCard(
  datanet: DatanetRecord,
  version: Omit<VersionRecord, 'licence'> & {
    readonly number: number
    readonly licence: Licence | null
  },
): string {
  const { licence } = version
  const allowed = Object.entries(PERMISSIONS)
    .filter(([, bit]) => licence && (licence.permissions & bit) !== 0)
    .map(([name]) => name)
  return card(
    {
      license: 'other',
      license_name: 'openledger-machine-readable',
      tags: ['openledger'],
      configs: [{ config_name: 'default', data_files: [{ split: 'train', path: 'data/*.jsonl' }] }],
    },
    datanet.name,
    [
      `Version ${version.number} of Datanet ${datanet.id} on OpenLedger: a file for each contribution, named after its`,
      'contributor, byte for byte as it was revealed. Rows that are private or erased are not here.',
      '',
      `- Rows: ${version.rowCount} in ${version.contributionCount} contributions`,
      `- Rows root: \`${version.rowsRoot}\``,
      `- Manifest: \`${version.manifestHash}\``,
      `- Owner: \`${datanet.owner}\``,
      `- Allowed: ${allowed.join(', ') || 'nothing'}`,
    ],
  )
}

/** JSON is YAML: the header needs no writer of its own, and no name can break out of it. */
function card(header: Record<string, unknown>, title: string, lines: readonly string[]): string {
  const yaml = Object.entries(header).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  return ['---', ...yaml, '---', `# ${title.replaceAll(/\s+/g, ' ')}`, '', ...lines, ''].join('\n')
}
