/**
 * The house rules a machine can hold: which room may import which, where each package may be used,
 * headers, file length, doors. A message says what to do instead.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import t from 'tap'

const root = resolve(import.meta.dirname, '..')
const LINES_MAX = 550

/** Room -> rooms it may import (itself is understood). DESIGN section 2. */
const ROOMS: Record<string, readonly string[]> = {
  genesis: [],
  native: [],
  precompiles: ['genesis', 'native'],
  node: ['genesis', 'native', 'precompiles'],
  sequencer: ['genesis', 'node'],
  prover: ['genesis', 'node'],
  scripts: ['genesis', 'native', 'precompiles', 'node', 'sequencer', 'prover'],
}

/** Packages that belong to few places; everything else may be used anywhere but in genesis. */
const PACKAGES: ReadonlyArray<{ match: RegExp; places: readonly string[] }> = [
  { match: /^(level|classic-level)$/, places: ['node/store'] },
  { match: /^(libp2p|@libp2p\/|@chainsafe\/libp2p|@multiformats\/)/, places: ['node/p2p'] },
  {
    match: /^@ethereumjs\/(vm|evm|statemanager|mpt)$/,
    places: ['node/chain', 'node/l1', 'precompiles'],
  },
  { match: /^msgpackr$/, places: ['node/p2p', 'node/store', 'node/model', 'sequencer/batcher'] },
  {
    match: /^viem/,
    places: [
      'scripts',
      'sequencer',
      'prover',
      'node/keys',
      'node/l1',
      'node/model',
      'node/factory',
      'node/attribution',
      'node/datanet',
      'node/provenance',
      'node/rpc',
      'node/web',
      'node/x402',
      'node/agents',
    ],
  },
  { match: /^zod$/, places: ['node/x402', 'node/agents'] },
  { match: /^(@modelcontextprotocol|@a2a-js)\//, places: ['node/agents'] },
  { match: /^@nats-io\//, places: ['node/factory/fabric'] },
  { match: /^ws$/, places: ['node/rpc'] },
  { match: /^prom-client$/, places: ['node/monitor'] },
  { match: /^(preact|uplot|@fontsource)/, places: ['node/web/app'] },
  { match: /^vite$/, places: ['node/web/vite.config.ts'] },
]

const sources = Object.keys(ROOMS).flatMap((room) =>
  readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .map((name) => join(room, name))
    .filter((name) => /\.(tsx?|mjs)$/.test(name))
    .filter(
      (name) =>
        !/(^|\/)(target|build|core|bind|dist)\//.test(name) && !/\.generated\.ts$/.test(name),
    ),
)

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [
    ...text.matchAll(/^(?:import|export)\s[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm),
  ].map((match) => (match[1] ?? match[2]) as string)
}

t.test('a node takes its functions from viem/utils: viem itself loads every action', (t) => {
  const broken = sources
    .filter((file) => /^(node|sequencer)\//.test(file) && !file.startsWith('node/web/app/'))
    .filter((file) =>
      /^import \{[^}]*\} from 'viem'$/m.test(readFileSync(join(root, file), 'utf8')),
    )
  t.same(broken, [], 'import { … } from viem/utils; import type { … } from viem')
  t.end()
})

t.test('a room imports only the rooms its door-plate allows', async (t) => {
  const broken: string[] = []
  for (const file of sources) {
    const room = file.split('/')[0] as string
    for (const target of importsOf(file).filter((name) => name.startsWith('.'))) {
      const path = relative(root, resolve(root, dirname(file), target))
      const other = path.split('/')[0] as string
      if (other !== room && !ROOMS[room]?.includes(other)) {
        broken.push(
          `${file} imports ${path}: ${room} may import ${ROOMS[room]?.join(', ') || 'nothing of ours'}`,
        )
      }
      if (other === 'native' && room !== 'native' && path !== 'native/index.ts') {
        broken.push(`${file} imports ${path}: native has one door, native/index.ts`)
      }
    }
  }
  t.same(broken, [])
})

t.test('a package is used where it belongs', async (t) => {
  const broken: string[] = []
  for (const file of sources) {
    for (const name of importsOf(file).filter((target) => !target.startsWith('.'))) {
      const builtin = name.startsWith('node:')
      if (!builtin && builtinModules.includes(name)) broken.push(`${file}: write 'node:${name}'`)
      if (!builtin && file.startsWith('genesis/'))
        broken.push(`${file} imports ${name}: genesis is data only`)
      const rule = PACKAGES.find(({ match }) => match.test(name))
      if (rule && !rule.places.some((place) => file.startsWith(place))) {
        broken.push(`${file} imports ${name}: it belongs to ${rule.places.join(', ')}`)
      }
    }
  }
  t.same(broken, [])
})

t.test('every source file says at its head what it owns, and fits in the mind', async (t) => {
  const broken: string[] = []
  for (const file of sources) {
    const text = readFileSync(join(root, file), 'utf8')
    if (!/^(#!.*\n)?\/\*\*/.test(text)) broken.push(`${file}: begin with a /** header */`)
    const lines = text.split('\n').length
    if (lines > LINES_MAX) broken.push(`${file}: ${lines} lines; split it (at most ${LINES_MAX})`)
  }
  t.same(broken, [])
})

t.test('every room has a door-plate', async (t) => {
  for (const room of Object.keys(ROOMS)) {
    t.ok(readdirSync(join(root, room)).includes('README.md'), `${room}/README.md`)
  }
})

t.test('nothing random, timed or environmental decides in the consensus rooms', async (t) => {
  const banned = /\b(Date\.now|Math\.random|process\.env|performance\.now|setTimeout)\b/
  const consensus = /^(precompiles|genesis)\/|^node\/(derive\/(?!pipeline)|chain\/)/
  const broken = sources
    .filter((file) => consensus.test(file))
    .flatMap((file) =>
      readFileSync(join(root, file), 'utf8')
        .split('\n')
        .map((line, i) => ({ line, at: `${file}:${i + 1}` }))
        .filter(({ line }) => banned.test(line) && !/^\s*(\*|\/\/)/.test(line))
        .map(({ line, at }) => `${at} ${line.trim()}: take it as an argument`),
    )
  t.same(broken, [])
})
