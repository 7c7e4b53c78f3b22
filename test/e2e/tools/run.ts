/**
 * Tools of other people against a live devnet, unmodified and in their own environments: web3.py, openai, datasets, peft, hf,
 * mlcroissant and prov from PyPI, Hardhat, forge and MCP's conformance suite from npm. Not part of `npm test`, because it installs them; run it before a release:
 *
 *   npm run test:tools            exit status 0 when every tool did its whole round
 *   npm run test:tools forge      only those with this in their name
 *
 * viem, ethers, cast and @x402/fetch (README's agent) are tried by `economy.test.ts` in every run of the tests, the client packages of MCP and
 * A2A by `test/node/agents/doors.test.ts`, @x402/fetch and openai through 402 by `test/node/x402/paid.test.ts`.
 */
import { spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Abi, createPublicClient, encodeDeployData, http, parseAbi } from 'viem'
import { OpenToken } from '../../../genesis/contracts.generated.ts'
import { keccakHex } from '../../../node/base/bytes.ts'
import { devnetAccount } from '../../../scripts/devnet/accounts.ts'
import { ask } from '../../../scripts/devnet/ask.ts'
import { createRpc } from '../../../scripts/devnet/economy.ts'
import { MODEL, startLive } from '../stack.ts'
import { CONFORMANCE, conformance } from './mcp.ts'

const WEB3_PY = 'web3==8.0.0'
const OPENAI_PY = 'openai==3.57.0'
const ETH_ACCOUNT_PY = 'eth-account==0.13.7'
const HUB_PY = 'peft==0.21.2'
const HF_CLI = 'huggingface_hub==2.4.0'
const DATASETS_PY = 'datasets==5.2.0'
const PROVENANCE_PY = ['mlcroissant==1.1.1', 'prov==3.2.3', 'rdflib==7.6.0'] as const
const HARDHAT = 'hardhat@3.18.0'
const FORGE = '@foundry-rs/forge@1.7.1'
const here = import.meta.dirname

type Round = (dir: string, setup: string) => Promise<string>

const ROUNDS: Readonly<Record<string, Round>> = {
  [WEB3_PY]: (dir, setup) => python(dir, { packages: [WEB3_PY], script: 'round.py', setup }),
  [OPENAI_PY]: (dir, setup) =>
    python(dir, { packages: [OPENAI_PY], script: 'fine_tune.py', setup }),
  [`${OPENAI_PY} pays`]: (dir, setup) =>
    python(dir, { packages: [OPENAI_PY, ETH_ACCOUNT_PY], script: 'ask_and_pay.py', setup }),
  [HUB_PY]: (dir, setup) =>
    python(dir, {
      packages: [HUB_PY, DATASETS_PY, 'transformers', 'torch'],
      script: 'hub.py',
      setup,
    }),
  [PROVENANCE_PY[0]]: (dir, setup) =>
    python(dir, { packages: PROVENANCE_PY, script: 'provenance.py', setup }),
  [HF_CLI]: hfCli,
  [CONFORMANCE]: async (dir, setup) => {
    writeFileSync(join(dir, 'package.json'), '{"type":"module","private":true}\n')
    return conformance(dir, JSON.parse(setup).url, run)
  },
  [HARDHAT]: async (dir, setup) => {
    writeFileSync(join(dir, 'package.json'), '{"type":"module","private":true}\n')
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts']
    await run('npm', ['install', ...quiet, HARDHAT], { cwd: dir })
    copyFileSync(join(here, 'round-hardhat.mjs'), join(dir, 'round.mjs'))
    return run(process.execPath, ['round.mjs'], { cwd: dir, input: setup })
  },
  [FORGE]: async (dir, setup) => {
    const { url, privateKey } = JSON.parse(setup)
    writeFileSync(join(dir, 'package.json'), '{"type":"module","private":true}\n')
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts']
    await run('npm', ['install', ...quiet, FORGE], { cwd: dir })
    mkdirSync(join(dir, 'script'))
    copyFileSync(join(here, 'Deploy.s.sol'), join(dir, 'script/Deploy.s.sol'))
    const solc = join(dir, 'solc')
    writeFileSync(solc, `#!/bin/sh\nexec ${process.execPath} ${join(here, 'solc.mjs')} "$@"\n`)
    chmodSync(solc, 0o755)
    writeFileSync(
      join(dir, 'foundry.toml'),
      `[profile.default]\nsolc = "${solc}"\noffline = true\n`,
    )
    const forge = join(dir, 'node_modules/.bin/forge')
    const script = [
      'script',
      'script/Deploy.s.sol:Deploy',
      '--rpc-url',
      url,
      '--broadcast',
      '--json',
    ]
    const printed = await run(forge, script, { cwd: dir, env: { KEY: privateKey } })
    return forgeRound(printed, url)
  },
}

/** A script in an environment of its own with these packages. */
async function python(
  dir: string,
  { packages, script, setup }: { packages: readonly string[]; script: string; setup: string },
): Promise<string> {
  await run('python3', ['-m', 'venv', dir])
  const quiet = ['install', '--quiet', '--disable-pip-version-check']
  await run(join(dir, 'bin/pip'), [...quiet, ...packages])
  return run(join(dir, 'bin/python'), [join(here, script)], { input: setup })
}

/** `hf download` of an adapter and of a Datanet's version, the command of PyPI's package; what came is what the node has. */
async function hfCli(dir: string, setup: string): Promise<string> {
  const { url } = JSON.parse(setup)
  await run('python3', ['-m', 'venv', dir])
  const quiet = ['install', '--quiet', '--disable-pip-version-check']
  await run(join(dir, 'bin/pip'), [...quiet, HF_CLI])
  const env = { HF_ENDPOINT: url, HF_HOME: join(dir, 'hf-home'), HF_HUB_DISABLE_TELEMETRY: '1' }
  const download = async (repo: string, ...more: string[]): Promise<string> => {
    const to = join(dir, repo.replace(/\W+/g, '-'))
    await run(join(dir, 'bin/hf'), ['download', repo, '--local-dir', to, ...more], { env })
    return to
  }
  const adapter = await download(`openledger/${MODEL}`)
  const config = JSON.parse(readFileSync(join(adapter, 'adapter_config.json'), 'utf8'))
  if (config.peft_type !== 'LORA') throw new Error(`an adapter of ${config.peft_type}`)
  const asked = await fetch(`${url}/openledger/${MODEL}/resolve/main/adapter_model.safetensors`)
  const there = new Uint8Array(await asked.arrayBuffer())
  const here = readFileSync(join(adapter, 'adapter_model.safetensors'))
  if (keccakHex(here) !== keccakHex(there)) throw new Error('the adapter came with other bytes')
  const datanet = await download(
    'openledger/datanet-1',
    '--repo-type',
    'dataset',
    '--revision',
    'v1',
  )
  const files = readdirSync(datanet, { recursive: true, encoding: 'utf8' })
  const rows = files
    .filter((name) => name.endsWith('.jsonl') && !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(datanet, name), 'utf8').trim().split('\n'))
  if (typeof JSON.parse(rows[0] ?? '{}').text !== 'string')
    throw new Error(`no rows among ${files.join(', ')}`)
  return `hf download brought an adapter of ${here.length} bytes and ${rows.length} rows`
}

/** The contract stands where CREATE2 through 0x4e59… puts it, and the call after it has run. */
async function forgeRound(printed: string, url: string): Promise<string> {
  const counter = /0x[0-9a-fA-F]{40}/.exec(/"counter":\s*\{[^}]*\}/.exec(printed)?.[0] ?? '')?.[0]
  if (!counter) throw new Error(`forge named no contract: ${printed.slice(-1_000)}`)
  const client = createPublicClient({ transport: http(url) })
  const abi = parseAbi(['function number() view returns (uint256)'])
  const call = { address: counter as `0x${string}`, abi, functionName: 'number' } as const
  const number = await client.readContract(call)
  if (number !== 43n) throw new Error(`the counter at ${counter} says ${number}`)
  return `forge script deployed ${counter} with CREATE2 and called it`
}

/** What it printed. @throws Error with what it complained of. */
async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; input?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const { cwd, env = {} } = options
  const child = spawn(command, args, {
    ...(cwd ? { cwd } : {}),
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  child.stdin.end(options.input ?? '')
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [out, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (code === 0) return out.trim()
  throw new Error(`${command} ${args[0]} ended with ${code}: ${complaint.slice(-2_000)}`)
}

const dir = mkdtempSync(join(tmpdir(), 'openledger-tools-'))
const devnet = join(dir, 'devnet')
mkdirSync(devnet)
const live = await startLive(devnet)
let failed = 0
try {
  const { privateKey, address } = devnetAccount('bob')
  const { abi, bytecode } = OpenToken
  const deployment = encodeDeployData({ abi: abi as Abi, bytecode, args: [address] })
  const { url } = live.nodes.sequencer
  const rpc = createRpc(url)
  const question = {
    model: MODEL,
    prompt: 'The people of the United States',
    maxTokens: 8,
    temperature: 0,
  }
  const answer = await ask(question, { url, payer: live.wallet('alice'), rpc })
  const setup = JSON.stringify({
    url,
    question,
    answer: answer.text,
    payerKey: devnetAccount('alice').privateKey,
    sponsored: false,
    chainId: live.chainId,
    privateKey,
    abi,
    bytecode,
    deployment,
  })
  const wanted = process.argv.slice(2)
  for (const [name, round] of Object.entries(ROUNDS).filter(
    ([tool]) => wanted.length === 0 || wanted.some((part) => tool.includes(part)),
  )) {
    const own = join(dir, name.replace(/\W+/g, '-'))
    mkdirSync(own)
    try {
      console.log(`${name.padEnd(18)} passed  ${await round(own, setup)}`)
    } catch (error) {
      failed++
      console.log(`${name.padEnd(18)} FAILED  ${error instanceof Error ? error.message : error}`)
    }
  }
} finally {
  await live.stop()
  rmSync(dir, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0
