/** Documentation that runs: each snippet of a README is run, here or on the live stack, or says what it needs. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { workDir } from './support/dir.ts'
import { makeCheckout, readSnippets, runSnippet, snippetsIn } from './support/snippets.ts'

const snippets = readSnippets()

t.test('snippets that need nothing run as they stand', async (t) => {
  const dir = makeCheckout(join(workDir(t), 'checkout'))
  for (const snippet of snippets.filter(({ info }) => info === 'now')) {
    await t.resolves(runSnippet(snippet, { dir }), `${snippet.file}:${snippet.line}`)
  }
})

t.test('a program with a name is run by a test that knows the name', async (t) => {
  const cwd = join(import.meta.dirname)
  const tests = globSync('**/*.test.ts', { cwd }).map((file) =>
    readFileSync(join(cwd, file), 'utf8'),
  )
  for (const { file, line, info } of snippets.filter(({ info }) => info.endsWith('.ts'))) {
    t.ok(
      tests.some((text) => text.includes(info)),
      `${file}:${line} ${info}`,
    )
  }
})

t.test('a fence that nobody would run is refused', async (t) => {
  const fence = (info: string): string => `\`\`\`${info}\nfalse\n\`\`\`\n`
  t.throws(() => snippetsIn('x', fence('sh lvie')), /x:1: 'lvie' is none of live/)
  t.throws(() => snippetsIn('x', `\n${fence('ts needs=luck')}`), /x:2: 'needs=luck'/)
  t.throws(() => snippetsIn('x', fence('bash')), /write sh or ts: bash/)
  t.same(snippetsIn('x', fence('json')), [], 'what is not a program is not run')
  const [bad] = snippetsIn('x', fence('sh'))
  if (!bad) throw new Error('no snippet')
  await t.rejects(runSnippet(bad, { dir: workDir(t) }), /x:1 fails\nfalse/)
})
