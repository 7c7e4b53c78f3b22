/**
 * The resident base model: the engine's handle and what serving needs to know about its directory.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Model } from '../../native/index.ts'
import { type Hex, keccakHex } from '../base/bytes.ts'
import { messageOf, userError } from '../base/errors.ts'
import { hashDirectory } from '../content/directory.ts'

export type BaseModel = {
  readonly model: Model
  /** Content hash of the directory. */
  readonly hash: Hex
  readonly name: string
  readonly tokenizerHash: Hex
  /** Jinja; renders messages to a prompt. */
  readonly chatTemplate: string
  /** Token ids that end an answer. */
  readonly stopTokens: readonly number[]
}

const PLAIN_TEMPLATE = '{% for message in messages %}{{ message.content }}\n{% endfor %}'

/** @throws NodeError `base-model` naming the file that is missing or malformed. */
export async function openBaseModel(dir: string): Promise<BaseModel> {
  const model = await Model.load(dir)
  const tokenizer = await readFile(join(dir, 'tokenizer.json'))
  const { chat_template: chatTemplate } = await readJson(join(dir, 'tokenizer_config.json'))
  const { _name_or_path: name } = await readJson(join(dir, 'config.json'))
  return {
    model,
    hash: await hashDirectory(dir),
    name: typeof name === 'string' ? name : 'base',
    tokenizerHash: keccakHex(tokenizer),
    chatTemplate: typeof chatTemplate === 'string' ? chatTemplate : PLAIN_TEMPLATE,
    stopTokens: model.config.eos_token_ids,
  }
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
  } catch (error) {
    throw userError('base-model', `cannot read ${path}: ${messageOf(error)}`)
  }
}
