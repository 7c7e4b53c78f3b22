/**
 * The resident base model: the engine's handle, what serving needs to know of its files, and its identity.
 *
 * A base is a Hugging Face directory or a GGUF file, computed in one precision. In f32 its hash is the content
 * hash of the files. In int8 it is another base, with bytes of its own: its hash commits the files (tokenizer and
 * template among them), the arithmetic, and the hash of the weights in the form they are computed with. So the base
 * hash in manifests, in ModelRegistry and in receipts says which of them answered.
 */
import { readFile, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { capabilities, Model, type Precision } from '../../native/index.ts'
import { type Hex, keccakHex, toHex, utf8 } from '../base/bytes.ts'
import { canonicalHash } from '../base/canonical.ts'
import { messageOf, userError } from '../base/errors.ts'
import { hashDirectory } from '../content/directory.ts'
import { hashFile } from '../content/store.ts'

export type BaseModel = {
  readonly model: Model
  /** Identity of the base in its precision, see above. */
  readonly hash: Hex
  readonly precision: Precision
  readonly name: string
  /** keccak256 of tokenizer.json; for a GGUF file, of the tokenizer.json that the engine makes of it. */
  readonly tokenizerHash: Hex
  /** Jinja; renders messages to a prompt. */
  readonly chatTemplate: string
  /** Token ids that end an answer. */
  readonly stopTokens: readonly number[]
}

/** What is registered of a base's licence: its files do not say it in a form that a node can read. */
export const BASE_LICENCE = 'see the base model'

const PLAIN_TEMPLATE = '{% for message in messages %}{{ message.content }}\n{% endfor %}'

/** @throws NodeError `base-model` naming the file that is missing or malformed; NativeError. */
export async function openBaseModel(path: string, precision: Precision): Promise<BaseModel> {
  const isDirectory = (await stat(path).catch(() => undefined))?.isDirectory() ?? false
  const model = await Model.load(path, { precision })
  if (!model.hasTokenizer) {
    throw userError('base-model', `${path} has no tokenizer; a node's base needs one`)
  }
  const files = isDirectory ? await hashDirectory(path) : (await hashFile(path)).hash
  return {
    model,
    hash: precision === 'f32' ? files : await formHash(model, files),
    precision,
    name: isDirectory ? await nameOf(path) : basename(path, extname(path)),
    tokenizerHash: keccakHex(
      isDirectory ? await readFile(join(path, 'tokenizer.json')) : utf8(model.tokenizerJson()),
    ),
    chatTemplate: model.chatTemplate ?? PLAIN_TEMPLATE,
    stopTokens: model.config.eos_token_ids,
  }
}

/** Identity of a base in another form than that of its files. */
async function formHash(model: Model, files: Hex): Promise<Hex> {
  return canonicalHash({
    format: 'openledger-base-1',
    files,
    kernelSet: capabilities().kernelSet,
    precision: model.precision,
    weights: toHex(await model.weightsHash()),
  })
}

/** `_name_or_path` of config.json. */
async function nameOf(dir: string): Promise<string> {
  const path = join(dir, 'config.json')
  try {
    const { _name_or_path: name } = JSON.parse(await readFile(path, 'utf8')) as {
      _name_or_path?: unknown
    }
    return typeof name === 'string' && name !== '' ? name : 'base'
  } catch (error) {
    throw userError('base-model', `cannot read ${path}: ${messageOf(error)}`)
  }
}
