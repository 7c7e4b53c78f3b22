/**
 * slither over our contracts: compiles both layers to syntax trees with npm's `solc` (no code is made, so it takes
 * seconds), hands them over as a build, and compares what is found with the answers in `slither.json`: a finding that
 * is not answered there is an error, and so is an answer that nothing needs any more.
 *
 *     python3 -m venv /tmp/slither && /tmp/slither/bin/pip install slither-analyzer==0.11.6
 *     node test/contracts/slither.ts /tmp/slither/bin/slither
 */
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root: string = resolve(import.meta.dirname, '../..')
const ANSWERS: string = join(import.meta.dirname, 'slither.json')
const require = createRequire(import.meta.url)

/** Why it is right as it is: by check, then by `contract.function` (or variable). */
/** An answer to all findings of a check that have none of their own. */
const ALL = '*'

type Answers = Record<string, Record<string, string>>
type Finding = {
  readonly check: string
  readonly impact: string
  readonly elements: readonly Element[]
}
type Element = {
  readonly type: string
  readonly name: string
  readonly type_specific_fields?: { readonly parent?: { readonly name: string } }
}

function findings(slither: string, layer: string): Finding[] {
  // Not under node_modules, where everything is somebody else's for slither.
  const at = mkdtempSync(join(tmpdir(), `slither-${layer}-`))
  mkdirSync(join(at, 'artifacts/build-info'), { recursive: true })
  for (const name of ['genesis', 'node_modules']) symlinkSync(join(root, name), join(at, name))
  writeFileSync(join(at, 'artifacts/build-info/build.json'), JSON.stringify(build(layer)))
  const hardhat = ['--compile-force-framework', 'hardhat', '--hardhat-ignore-compile']
  // By this file slither knows what it has before it.
  writeFileSync(join(at, 'hardhat.config.js'), '')
  const args = [...hardhat, '--exclude-dependencies', '--json', 'found.json']
  const filter = [
    '--filter-paths',
    '@openzeppelin',
    '--exclude-informational',
    '--exclude-optimization',
  ]
  const run = spawnSync(slither, [at, ...args, ...filter], { cwd: at, encoding: 'utf8' })
  const found = JSON.parse(readFileSync(join(at, 'found.json'), 'utf8')) as {
    readonly success: boolean
    readonly results?: { readonly detectors?: Finding[] }
  }
  rmSync(at, { recursive: true })
  if (!found.success) throw new Error(run.stderr)
  return found.results?.detectors ?? []
}

/** As Hardhat leaves it: compiler input, and its output without code. */
function build(layer: string): object {
  const solc = require('solc')
  const paths = readdirSync(join(root, 'genesis/contracts', layer), { recursive: true }) as string[]
  const sources = Object.fromEntries(
    paths
      .filter((name) => name.endsWith('.sol'))
      .map((name) => {
        const path = join('genesis/contracts', layer, name)
        return [path, { content: readFileSync(join(root, path), 'utf8') }]
      }),
  )
  const settings = {
    evmVersion: 'prague',
    optimizer: { enabled: true },
    outputSelection: { '*': { '': ['ast'], '*': ['abi'] } },
  }
  const input = { language: 'Solidity', sources, settings }
  const read = (path: string): object => {
    try {
      return { contents: readFileSync(require.resolve(path), 'utf8') }
    } catch {
      return { error: `no such import: ${path}` }
    }
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }))
  const code = { object: '', sourceMap: '', linkReferences: {} }
  for (const contracts of Object.values(output.contracts ?? {}) as Record<string, object>[]) {
    for (const contract of Object.values(contracts))
      Object.assign(contract, {
        evm: { bytecode: code, deployedBytecode: code, methodIdentifiers: {} },
      })
  }
  return { solcVersion: solc.version().split('+')[0], input, output }
}

/** `Contract.function`, or the contract alone. */
function placeOf({ elements }: Finding): string {
  const first = elements[0]
  const parent = first?.type_specific_fields?.parent?.name
  return parent ? `${parent}.${first?.name}` : (first?.name ?? '')
}

if (import.meta.main) {
  const [slither] = process.argv.slice(2)
  if (!slither) throw new Error('say where slither is')
  const answers = JSON.parse(readFileSync(ANSWERS, 'utf8')) as Answers
  const found = ['l1', 'l2'].flatMap((layer) => findings(slither, layer))
  const used = new Set<string>()
  const open = found.filter((one) => {
    const of = answers[one.check] ?? {}
    const place = [placeOf(one), ALL].find((name) => of[name])
    used.add(`${one.check} ${place}`)
    return !place
  })
  const stale = Object.entries(answers)
    .flatMap(([check, of]) => Object.keys(of).map((place) => `${check} ${place}`))
    .filter((name) => !used.has(name))
  for (const one of open) process.stdout.write(`${one.impact}: ${one.check} ${placeOf(one)}\n`)
  for (const name of stale) process.stdout.write(`answered, and not found any more: ${name}\n`)
  const counts = `${found.length} findings, ${open.length} not answered, ${stale.length} stale`
  process.stdout.write(`${counts}\n`)
  process.exitCode = open.length + stale.length > 0 ? 1 : 0
}
