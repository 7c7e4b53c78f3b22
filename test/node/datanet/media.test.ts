import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { keccak, keccakHex } from '../../../node/base/bytes.ts'
import { GroupIndex, KIND } from '../../../node/datanet/groups.ts'
import { MEDIA_BYTES_MAX, mediaOf, typeOfBytes, typeOfName } from '../../../node/datanet/media.ts'
import { type Format, readRows } from '../../../node/datanet/read-rows.ts'
import {
  decodeRows,
  decodeSaltedRows,
  encodeRow,
  encodeRows,
  type Row,
} from '../../../node/datanet/rows.ts'
import { checkRow, decodeSchema } from '../../../node/datanet/schema.ts'
import { shardsOf } from '../../../node/datanet/shards.ts'
import { png, wav } from '../../support/media.ts'

const latin = (text: string): Buffer => Buffer.from(text, 'latin1')
/** A first Ogg page of one segment, and its packet. */
const ogg = (packet: string): Buffer =>
  Buffer.concat([latin('OggS'), Buffer.alloc(22), Buffer.of(1, 30), latin(packet)])

t.test('a format is told by the first bytes, and only those of the list are', async (t) => {
  const known: [Buffer, string][] = [
    [png(1, 1, [0, 0, 0]), 'image/png'],
    [latin('\xff\xd8\xff\xe0\0\x10JFIF'), 'image/jpeg'],
    [latin('RIFF\x10\0\0\0WEBPVP8L'), 'image/webp'],
    [wav(440, 0.01), 'audio/wav'],
    [latin('fLaC\0\0\0\x22'), 'audio/flac'],
    [latin('ID3\x04\0\0'), 'audio/mpeg'],
    [latin('\xff\xfb\x90\x64'), 'audio/mpeg'],
    [ogg('OpusHead'), 'audio/ogg'],
    [ogg('\x01vorbis'), 'audio/ogg'],
  ]
  for (const [bytes, type] of known) t.equal(typeOfBytes(bytes), type)
  const others: [string, Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['SVG', latin('<svg xmlns="http://www.w3.org/2000/svg">')],
    ['HTML', latin('<!doctype html><script>')],
    ['video in Ogg', ogg('\x80theora')],
    ['an AVI', latin('RIFF\x10\0\0\0AVI LIST')],
    ['a sampling rate that does not exist', latin('\xff\xfb\x9c\x64')],
    ['a signature alone', latin('\x89PNG\r\n\x1a\n')],
  ]
  for (const [what, bytes] of others) t.equal(typeOfBytes(bytes), null, what)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void typeOfBytes(bytes)))
  t.same(['a.JPG', 'b.opus', 'c.svg', 'png'].map(typeOfName), [
    'image/jpeg',
    'audio/ogg',
    null,
    null,
  ])
  t.throws(() => mediaOf(new Uint8Array(MEDIA_BYTES_MAX + 1), null), /at most 16777216/)
})

t.test('a row keeps what it says of its media through its canonical form', async (t) => {
  const media = mediaOf(png(1, 1, [1, 2, 3]), 'image/png')
  const row: Row = { text: 'A dot.', media, meta: { year: 1790 } }
  t.same(decodeRows(encodeRows([row])), [row])
  t.match(new TextDecoder().decode(encodeRow(row)), /^{"media":{"bytes":\d+,"hash":"0x/)
  for (const [change, why] of [
    [{ type: 'image/svg+xml' }, /row 1: its media has type "image\/svg\+xml"; known/],
    [{ bytes: 0 }, /has 0 bytes; 1 to/],
    [{ hash: '0x12' }, /needs a 'hash'/],
    [{ url: 'http://x' }, /unknown field 'url'/],
  ] as const) {
    const file = JSON.stringify({ text: 'x', media: { ...media, ...change } })
    t.throws(() => decodeRows(Buffer.from(file)), why)
  }
  const salted = { ...row, salt: `0x${'11'.repeat(32)}` as const }
  t.throws(() => decodeSaltedRows(encodeRows([salted])), /private rows are words alone/)
})

t.test('a schema says whether rows name pictures or sounds', async (t) => {
  const picture = { text: 'x', media: mediaOf(png(1, 1, [0, 0, 0]), null) }
  const words = { text: 'x' }
  const fault = (schema: string, row: Row): string => {
    try {
      checkRow(row, decodeSchema(schema))
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  const of = (media: string): string => `{"text":"string","media":"${media}"}`
  t.equal(fault(of('image'), picture), '')
  t.equal(fault(of('any?'), words), '')
  t.equal(fault('', picture), '')
  t.match(fault(of('image'), words), /has no media; the schema wants image/)
  t.match(fault(of('audio'), picture), /type image\/png; the schema wants audio/)
  t.match(fault('{"text":"string"}', picture), /which the schema does not know/)
  t.match(fault(of('video'), words), /"media" is "video"; known: image, audio, any/)
})

t.test('a row names a file beside it; a folder has a row for each', async (t) => {
  const dir = t.testdir({ rows: { sub: {} }, 'secret.png': png(9, 9, [0, 0, 0]) })
  const folder = join(dir, 'rows')
  writeFileSync(join(folder, 'sub/dot.png'), png(1, 1, [1, 1, 1]))
  writeFileSync(join(folder, 'tone.mp3'), wav(440, 0.01))
  symlinkSync('../secret.png', join(folder, 'link.png'))
  const read = async (path: string, format: Format, isPrivate = false): Promise<string[]> => {
    const out: string[] = []
    const schema = decodeSchema('')
    for await (const row of readRows(path, { format, schema, isPrivate, rowBytesMax: 500 }))
      out.push('fault' in row ? row.fault : `${row.row.text} ${row.row.media?.type ?? ''}`.trim())
    return out
  }
  const names = ['sub/dot.png', 'tone.mp3', '../secret.png', 'link.png', 'gone.png', 'sub', '']
  const lines = names.map((media) => JSON.stringify({ text: 'x', media }))
  writeFileSync(join(folder, 'rows.jsonl'), [...lines, '{"text":"words"}'].join('\n'))
  t.strictSame(await read(join(folder, 'rows.jsonl'), 'jsonl'), [
    'x image/png',
    'tone.mp3: its media is called audio/mpeg; its bytes are audio/wav',
    "names ../secret.png, which is outside of the file's folder",
    "names link.png, which is outside of the file's folder",
    'names gone.png, which is not there',
    'names sub, which is no file',
    "has a 'media' that is no file's name",
    'words',
  ])
  t.match(await read(join(folder, 'rows.jsonl'), 'jsonl', true), [/words alone/])
  writeFileSync(join(folder, 'rows.csv'), 'text,media\nA dot,sub/dot.png\nwords,\n')
  t.strictSame(await read(join(folder, 'rows.csv'), 'csv'), ['A dot image/png', 'words'])

  const pictures = join(dir, 'pictures')
  mkdirSync(pictures)
  for (const name of ['b.png', 'a.png', 'c.png', 'd.png', 'e.png'])
    writeFileSync(join(pictures, name), png(1, 1, [5, 5, 5]))
  writeFileSync(join(pictures, 'a.txt'), 'first\n')
  writeFileSync(join(pictures, 'b.txt'), Buffer.of(0xff))
  writeFileSync(join(dir, 'secret.txt'), 'of nobody else')
  symlinkSync('../secret.txt', join(pictures, 'd.txt'))
  symlinkSync('../gone.txt', join(pictures, 'e.txt'))
  writeFileSync(join(pictures, '.hidden'), '')
  t.strictSame(await read(pictures, 'folder'), [
    'first image/png',
    'b.txt: is not UTF-8',
    'c.png: has no caption: write it into c.txt',
    "names d.txt, which is outside of the file's folder",
    'names e.txt, which is not there',
  ])
})

/** Written by pyarrow 26: text, media (binary) = a PNG, a WAV, SVG, null. */
const BINARY =
  'UEFSMRUEFVAVUEwVCBUAEgAAKCgGAAAAQSBkb3QuBwUKXHRvbmUuBQAAAEp1bmsuBgAAAFdvcmRzLhUAFRQVGCwVCBUQFQYVBhwAAAAKJAIAAAAIAQID5AAVBBXGBBXOBEwVBhUAEgAAowJcRQAAAIlQTkcNChoKAAAADUlIRFIAAAABAQT0BgEIAgAAAJB3U94AAAAMSURBVHicY2BkZAQAAAoABGd3iS8AAAAASUVORK5CYILMAAAAUklGRsQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YaAAAAAAAOEP4R1ZKAsuTC4UKQAfQRF5AYTxReNs2EHSf9E81unfYu0P/RQNjRvFJmctqy5qKiUh9RNpBFj0p+UU2vzSONH71NTduOog+joKHhkKJZUs2i6VKykjlRZVBzf3JOji2+XTINHl0+LbJOg391UHlRYpI5Ur2i6VLAolHhk6CiD6uOrU3fvUONH80hTap+VY9GkE9RMlIWoqqy5nLcUmBgAAADxzdmcvPhUAFRQVGCwVCBUQFQYVBhwAAAAKJAIAAAADBwIDJAAVBBk8NQAYBnNjaGVtYRUEABUMJQIYBHRleHQlAEwcAAAAFQwlAhgFbWVkaWEAFggZHBksJgAcFQwZNQAGEBkYBHRleHQVAhYIFqYBFqoBJnQmCCksFQQVABUCABUAFRAVAgA8FjAZBhkmAAgAAAAmABwVDBk1AAYQGRgFbWVkaWEVAhYIFqAFFqwFJqAGJrIBKSwVBBUAFQIAFQAVEBUCADwWrgQZBhkmAgYAAAAWxgYWCCYIFtYGACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZLBwAABwAAADkAAAAUEFSMQ=='
/** caption (binary), image = struct of bytes and path: dot.png, tone.mp3, null; the last caption is not UTF-8. */
const STRUCT =
  'UEFSMRUEFTQVOEwVBhUAEgAAGmQGAAAAQSBkb3QuBwAAAEEgdG9uZS4BAAAA/xUAFRQVGCwVBhUQFQYVBhwAAAAKJAIAAAAGAQIDJAAVBBWyBBW4BEwVBBUAEgAAmQJcRQAAAIlQTkcNChoKAAAADUlIRFIAAAABAQTw/AgCAAAAkHdT3gAAAAxJREFUeJxjYGRkBAAACgAEZ3eJLwAAAABJRU5ErkJggswAAABSSUZGxAAAAFdBVkVmbXQgEAAAAAEAAQBAHwAAgD4AAAIAEABkYXRhoAAAAAAA4Q/hHVkoCy5MLhQpAB9BEXkBhPFF42zYQdJ/0TzW6d9i7Q/9FA2NG8UmZy2rLmoqJSH1E2kEWPSn5RTa/NI40fvU1N246iD6OgoeGQollSzaLpUrKSOVFlUHN/ck6OLb5dMg0eXT4tsk6Df3VQeVFikjlSvaLpUsCiUeGToKIPq46tTd+9Q40fzSFNqn5Vj0aQT1EyUhaiqrLmctxSYVABUSFRYsFQYVEBUGFQYcAAAACSACAAAABgIBAwIVBBUuFTJMFQQVABIAABdYBwAAAGRvdC5wbmcIAAAAdG9uZS5tcDMVABUUFRgsFQYVEBUGFQYcAAAACiQDAAAAAxoAAQMCFQQZXDUAGAZzY2hlbWEVBAAVDCUCGAdjYXB0aW9uADUCGAVpbWFnZRUEABUMJQIYBWJ5dGVzABUMJQIYBHBhdGglAEwcAAAAFgYZHBk8JgAcFQwZNQAGEBkYB2NhcHRpb24VAhYGFooBFpIBJlwmCCksFQQVABUCABUAFRAVAgA8FhwZBhkmAAYAAAAmABwVDBk1AAYQGSgFaW1hZ2UFYnl0ZXMVAhYGFooFFpQFJvIFJpoBKSwVBBUAFQIAFQAVEBUCADwWrAUZBhk2AAAGAAAAJgAcFQwZNQAGEBkoBWltYWdlBHBhdGgVAhYGFoQBFowBJvwGJq4GKSwVBBUAFQIAFQAVEBUCADwWHhkGGTYAAgQAAAAWmAcWBiYIFrIHACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZPBwAABwAABwAAABPAQAAUEFSMQ=='

t.test('Parquet has the bytes in a column, alone or with a name', async (t) => {
  const dir = t.testdir()
  const path = join(dir, 'rows.parquet')
  const options = {
    format: 'parquet',
    schema: decodeSchema('{"text":"string","media":"any?"}'),
  } as const
  const read = async (base64: string, more: object = {}): Promise<string[]> => {
    const out: string[] = []
    writeFileSync(path, Buffer.from(base64, 'base64'))
    for await (const row of readRows(path, { ...options, rowBytesMax: 500, ...more }))
      out.push('fault' in row ? row.fault : `${row.row.text} ${row.row.media?.type ?? ''}`.trim())
    return out
  }
  const unknown = /^its media is no picture or sound that is known/
  t.match(await read(BINARY), ['A dot. image/png', 'A tone. audio/wav', unknown, 'Words.'])
  t.same(await read(STRUCT, { textColumn: 'caption', mediaColumn: 'image' }), [
    'A dot. image/png',
    'its media is called audio/mpeg; its bytes are audio/wav',
    "has bytes in column 'caption' that are not UTF-8",
  ])
  const words = { textColumn: 'caption', schema: decodeSchema('{"text":"string"}') }
  const [inStruct] = await read(STRUCT, words)
  t.equal(inStruct, "has bytes in column 'image' that are not UTF-8", 'nor are they meta')

  writeFileSync(path, Buffer.from(BINARY, 'base64'))
  const shards = shardsOf(path, { ...options, rowBytesMax: 500, rowsMax: 1 })
  const files: string[] = []
  for await (const { media } of shards)
    for (const [hash, { bytes, path: at }] of media) {
      const held = readFileSync(at)
      t.same([keccakHex(held), held.length], [hash, bytes], 'it is there while the shard is taken')
      files.push(at)
    }
  t.equal(files.length, 2)
  for (const at of files) t.notOk(existsSync(dirname(at)), 'and gone after')
})

t.test(
  'the same bytes are a copy under any words, and the same words under any bytes',
  async (t) => {
    const index = new GroupIndex()
    const [one, other] = [png(1, 1, [1, 1, 1]), png(1, 1, [2, 2, 2])].map((bytes) =>
      mediaOf(bytes, null),
    )
    const row = (text: string, media = one): Row => ({ text, ...(media ? { media } : {}) })
    const first = index.addRow(row('A white lighthouse on the cliff'))
    t.same(first, {
      group: keccakHex(encodeRow(row('A white lighthouse on the cliff'))).slice(0, 34),
      kind: KIND.first,
    })
    t.same(index.addRow(row('Something else entirely')), { ...first, kind: KIND.exact })
    t.same(index.addRow(row('A white lighthouse on the cliff', other)), {
      ...first,
      kind: KIND.near,
    })
    t.same(index.addRow({ text: 'A white lighthouse on the cliff' }), { ...first, kind: KIND.near })
    t.equal(index.add(keccak(Uint8Array.of(1)), undefined).kind, KIND.first)
  },
)
