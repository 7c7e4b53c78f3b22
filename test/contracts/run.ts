/**
 * Foundry's fuzz and invariant tests of the contracts that hold value, on the committed artefact: writes the genesis
 * that `Genesis.sol` loads and runs forge with npm's `solc`.
 *
 *     npm run test:contracts                    as many runs as `foundry.toml` says under [profile.long]
 *     node test/contracts/run.ts --quick ...    few runs, as `npm test` does; what follows goes to forge
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { genesisAlloc } from '../../genesis/alloc.ts'
import * as contracts from '../../genesis/contracts.generated.ts'
import { creationCodeOf } from '../../node/preinstalls.ts'
import { economyConfig } from '../support/economy.ts'

const root: string = resolve(import.meta.dirname, '../..')
const modules: string = join(root, 'node_modules')
const folder: string = join(modules, '.cache/openledger-contracts')

/** What block 0 begins with, in the three forms in which an account comes into being. */
function writeGenesis(): void {
  const accounts = Object.entries(genesisAlloc(economyConfig, creationCodeOf))
  const ready: Record<string, object> = {}
  const constructed = { at: [] as string[], code: [] as string[] }
  const deployments = { factory: [] as string[], data: [] as string[] }
  for (const [address, account] of accounts) {
    if ('code' in account) {
      const { code, storage = {} } = account
      ready[address] = { code, storage, nonce: '0x1', balance: '0x0' }
    } else if ('creationCode' in account) {
      constructed.at.push(address)
      constructed.code.push(account.creationCode)
    } else if ('factory' in account.deployment) {
      const { factory, salt, creationCode } = account.deployment
      deployments.factory.push(factory)
      deployments.data.push(`${salt}${creationCode.slice(2)}`)
    }
  }
  mkdirSync(folder, { recursive: true })
  const files = { alloc: ready, constructed, deployments, l1: l1Codes() }
  for (const [name, value] of Object.entries(files)) {
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(value))
  }
}

/** Creation code of L1's contracts by name. */
function l1Codes(): Record<string, string> {
  const codes = Object.entries(contracts).map(([name, made]) => [
    name,
    'bytecode' in made ? made.bytecode : '0x',
  ])
  return Object.fromEntries(codes)
}

export type ForgeRun = { readonly status: number; readonly output: string }

/** @param profile `default`: a few seconds; `long`: minutes */
export function runForge(profile: 'default' | 'long', args: readonly string[] = []): ForgeRun {
  writeGenesis()
  const forge = join(modules, '.bin/forge')
  const { status, stdout, stderr, error } = spawnSync(forge, ['test', ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    env: {
      ...process.env,
      FOUNDRY_PROFILE: profile,
      // The compiler's script needs the Node that runs this one.
      PATH: `${resolve(process.execPath, '..')}:${process.env.PATH}`,
    },
  })
  if (error) throw error
  return { status: status ?? 1, output: `${stdout}${stderr}` }
}

if (import.meta.main) {
  const [first, ...rest] = process.argv.slice(2)
  const quick = first === '--quick'
  const args = quick ? rest : process.argv.slice(2)
  const { status, output } = runForge(quick ? 'default' : 'long', args)
  process.stdout.write(output)
  process.exitCode = status
}
