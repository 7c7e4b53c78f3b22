/**
 * Files of OpenAI's API: JSONL uploaded for fine-tuning, kept as content, read as rows. A line is
 * `{"messages": [{"role", "content"}, ...]}`, `{"prompt", "completion"}` or `{"text"}`.
 *
 * https://platform.openai.com/docs/api-reference/files
 */
import { Template } from '@huggingface/jinja'
import { type Hex, keccakHex, utf8 } from '../../base/bytes.ts'
import { userError } from '../../base/errors.ts'
import type { ContentStore } from '../../content/store.ts'
import type { Row } from '../../datanet/rows.ts'
import type { RecordStore } from '../fabric/types.ts'
import { UPLOAD_ROWS_MAX } from '../options.ts'

export type StoredFile = {
  readonly id: string
  readonly hash: Hex
  readonly bytes: number
  readonly filename: string
  readonly purpose: string
  readonly createdAt: number
}

const KEY = 'file.'
const PURPOSES = [
  'fine-tune',
  'fine-tune-results',
  'evals',
  'user_data',
  'assistants',
  'batch',
  'vision',
]

export class FileTable {
  readonly #records: RecordStore
  readonly #content: ContentStore

  constructor(modules: { records: RecordStore; content: ContentStore }) {
    this.#records = modules.records
    this.#content = modules.content
  }

  async put(
    bytes: Uint8Array,
    given: { filename: string; purpose: string; createdAt: number },
  ): Promise<StoredFile> {
    if (!PURPOSES.includes(given.purpose))
      throw userError('purpose', `'purpose' is '${given.purpose}'; one of ${PURPOSES.join(', ')}`)
    const hash = await this.#content.put(bytes)
    const id = `file-${keccakHex(utf8(`${hash} ${JSON.stringify(given)}`)).slice(2, 26)}`
    const file = { id, hash, bytes: bytes.length, ...given }
    await this.#records.put(KEY + id, utf8(JSON.stringify(file)))
    return file
  }

  /** @throws NodeError `not-found` */
  async get(id: string): Promise<StoredFile> {
    const found = /^file-[0-9a-f]{24}$/.test(id) ? await this.#records.get(KEY + id) : null
    if (!found) throw userError('not-found', `No such File object: ${id}`)
    return JSON.parse(Buffer.from(found.value).toString()) as StoredFile
  }

  async list(): Promise<StoredFile[]> {
    const keys = await this.#records.list(KEY)
    const files = await Promise.all(keys.map((key) => this.get(key.slice(KEY.length))))
    return files.sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))
  }

  /** The bytes stay where jobs need them; the name goes. */
  async delete(id: string): Promise<void> {
    await this.get(id)
    await this.#records.delete(KEY + id)
  }

  async read(id: string): Promise<Uint8Array> {
    return this.#content.get((await this.get(id)).hash)
  }
}

/** @throws NodeError `training-file` naming the line (from 1) and what is wrong with it. */
export function rowsOfFile(bytes: Uint8Array, chatTemplate: string): Row[] {
  const lines = Buffer.from(bytes).toString('utf8').split('\n')
  const template = new Template(chatTemplate)
  const rows: Row[] = []
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue
    rows.push({ text: textOf(line, i + 1, template) })
    if (rows.length > UPLOAD_ROWS_MAX)
      throw userError('training-file', `over ${UPLOAD_ROWS_MAX} rows; make a Datanet of them`)
  }
  if (rows.length === 0) throw userError('training-file', 'the file has no rows')
  return rows
}

function textOf(line: string, number: number, template: Template): string {
  const bad = (why: string): Error => userError('training-file', `line ${number}: ${why}`)
  let row: Record<string, unknown>
  try {
    row = JSON.parse(line)
  } catch {
    throw bad('is not JSON')
  }
  const { text, prompt, completion, messages } = row ?? {}
  if (typeof text === 'string' && text) return text
  if (typeof prompt === 'string' && typeof completion === 'string') return prompt + completion
  if (!Array.isArray(messages) || messages.length === 0)
    throw bad("needs 'messages', 'prompt' and 'completion', or 'text'")
  for (const message of messages) {
    const { role, content } = (message ?? {}) as Record<string, unknown>
    if (typeof role !== 'string' || typeof content !== 'string')
      throw bad("a message needs a string 'role' and a string 'content'")
  }
  return template.render({ messages, add_generation_prompt: false })
}
