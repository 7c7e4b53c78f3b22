/**
 * A tiny GGUF file of the llama architecture: one layer, every byte a token, weights by a fixed rule.
 * Format: the GGUF specification of ggml, version 3.
 */
const [U32, F32, TEXT, LIST] = [4, 6, 8, 9]
const [HIDDEN, FFN, HEAD] = [16, 24, 4]

class Writer {
  readonly parts: Buffer[] = []

  u32(value: number): this {
    const cell = Buffer.alloc(4)
    cell.writeUInt32LE(value)
    this.parts.push(cell)
    return this
  }

  u64(value: number): this {
    return this.u32(value).u32(0)
  }

  f32(value: number): this {
    const cell = Buffer.alloc(4)
    cell.writeFloatLE(value)
    this.parts.push(cell)
    return this
  }

  text(value: string): this {
    const bytes = Buffer.from(value)
    this.u64(bytes.length).parts.push(bytes)
    return this
  }

  value(value: number | string | readonly string[], isFloat: boolean): this {
    if (typeof value === 'string') return this.u32(TEXT).text(value)
    if (typeof value === 'number')
      return isFloat ? this.u32(F32).f32(value) : this.u32(U32).u32(value)
    this.u32(LIST).u32(TEXT).u64(value.length)
    for (const text of value) this.text(text)
    return this
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }
}

/** The 256 characters that stand for bytes in byte-level BPE: printable ones for themselves. */
function byteTokens(): string[] {
  const isPrintable = (b: number): boolean => (b > 32 && b < 127) || (b > 160 && b !== 173)
  let next = 256
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(isPrintable(b) ? b : next++))
}

export const TINY_GGUF_TEMPLATE = '{% for message in messages %}[{{ message.content }}]{% endfor %}'

/** Bytes of the file. */
export function tinyGguf(): Buffer {
  const tokens = [...byteTokens(), '<|end|>']
  const metadata: Record<string, number | string | readonly string[]> = {
    'general.architecture': 'llama',
    'llama.embedding_length': HIDDEN,
    'llama.block_count': 1,
    'llama.feed_forward_length': FFN,
    'llama.attention.head_count': HIDDEN / HEAD,
    'llama.context_length': 64,
    'llama.attention.layer_norm_rms_epsilon': 1e-5,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.merges': [],
    'tokenizer.ggml.eos_token_id': 256,
    'tokenizer.chat_template': TINY_GGUF_TEMPLATE,
  }
  const square = ['attn_q', 'attn_k', 'attn_v', 'attn_output']
  const tensors: [string, number[]][] = [
    ['token_embd.weight', [HIDDEN, tokens.length]],
    ['output_norm.weight', [HIDDEN]],
    ['blk.0.attn_norm.weight', [HIDDEN]],
    ['blk.0.ffn_norm.weight', [HIDDEN]],
    ...square.map((name): [string, number[]] => [`blk.0.${name}.weight`, [HIDDEN, HIDDEN]]),
    ['blk.0.ffn_gate.weight', [HIDDEN, FFN]],
    ['blk.0.ffn_up.weight', [HIDDEN, FFN]],
    ['blk.0.ffn_down.weight', [FFN, HIDDEN]],
  ]
  const header = new Writer().u32(0x46554747).u32(3)
  header.u64(tensors.length).u64(Object.keys(metadata).length)
  for (const [key, value] of Object.entries(metadata)) {
    header.text(key).value(value, key.endsWith('epsilon'))
  }
  const data = new Writer()
  let offset = 0
  for (const [name, shape] of tensors) {
    const count = shape.reduce((product, n) => product * n, 1)
    header.text(name).u32(shape.length)
    for (const n of shape) header.u64(n)
    header.u32(0).u64(offset)
    for (let i = 0; i < count; i++) {
      data.f32(
        name.includes('norm') ? 1 : (((i * 2_654_435_761 + name.length) % 1009) / 1009 - 0.5) / 2,
      )
    }
    const padding = (32 - ((count * 4) % 32)) % 32
    data.parts.push(Buffer.alloc(padding))
    offset += count * 4 + padding
  }
  const head = header.bytes
  return Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32), data.bytes])
}
