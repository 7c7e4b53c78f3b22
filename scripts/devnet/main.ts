/**
 * The devnet: everything real, on one machine. An L1 with blobs, our contracts on it, a sequencer and a
 * validator in processes of their own, then one inference from bridged OPEN to a verdict. It stays up
 * until it is told to stop.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { OP, OPENLEDGER, PRECOMPILE } from '../../genesis/addresses.ts'
import { genesisAlloc } from '../../genesis/alloc.ts'
import { type ChainConfig, encodeChainConfig } from '../../genesis/chain.ts'
import { ZERO_HASH } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { createGenesis } from '../../node/chain/genesis.ts'
import { deployL1 } from '../deploy-l1.ts'
import { devnetAccount, devnetAccounts } from './accounts.ts'
import { type L1, startAnvil } from './anvil.ts'
import { ask, awaitVerdict } from './ask.ts'
import { bridge, createDatanet, createRpc, fundEscrow, registerModel, train } from './economy.ts'
import { Progress } from './progress.ts'
import { printOutcome } from './report.ts'
import { type Role, startRole } from './roles.ts'
import { loadAuthors } from './sotu.ts'
import { createWallet } from './wallet.ts'

export type DevnetOptions = {
  readonly exit: boolean
  readonly rowsPerAuthor: number
  readonly dir: string
}

const PORTS = { l1: 8545, sequencer: 9545, validator: 9546 }
const L1_BLOCK_SECONDS = 2
const L2_CHAIN_ID = 161_200
const STEPS = 8
const OPEN_EACH = '10000'
const MODEL_NAME = 'sotu'
const PROMPT = 'The Government of the United States'
const MAX_TOKENS = 48
/** wei of OPEN per token. */
const RATE_IN = 10_000_000_000_000n
const RATE_OUT = 30_000_000_000_000n

export async function runDevnet(options: DevnetOptions): Promise<void> {
  const dir = prepareFolder(options.dir)
  const stops: (() => Promise<void>)[] = []
  const stopAll = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop().catch(() => {})
  }
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new Interrupted()))
    }
  })
  try {
    const agreed = await Promise.race([live(options, dir, stops), interrupted])
    if (!options.exit) await interrupted
    await stopAll()
    process.exit(agreed ? 0 : 1)
  } catch (error) {
    await stopAll()
    if (!(error instanceof Interrupted)) throw error
    process.exit(0)
  }
}

class Interrupted extends Error {}

/** The whole story; true when the validator agreed. */
async function live(
  options: DevnetOptions,
  dir: string,
  stops: (() => Promise<void>)[],
): Promise<boolean> {
  const progress = new Progress(STEPS)
  const chain = await progress.step(
    'L1 and contracts',
    () => startL1(dir, stops),
    ({ l1, config }) => `anvil at ${l1.rpc}, portal ${config.portal}`,
  )
  const nodes = await progress.step(
    'sequencer and validator',
    () => startNodes(dir, chain.l1, stops),
    ({ sequencer, validator }) => `${sequencer.url} and ${validator.url}, joined by libp2p`,
  )
  const { config, l1 } = chain
  writeEndpoints(dir, { l1, config, ...nodes })
  const wallet = (name: Parameters<typeof devnetAccount>[0]) =>
    createWallet(devnetAccount(name), { rpc: nodes.sequencer.url, chainId: config.l2ChainId })
  const rpc = createRpc(nodes.sequencer.url)
  const [curator, builder, alice] = [wallet('curator'), wallet('builder'), wallet('alice')]

  await progress.step(
    'bridge OPEN',
    (update) =>
      bridge(
        {
          l1Rpc: l1.rpc,
          config,
          holder: devnetAccount('deployer'),
          accounts: devnetAccounts(),
          openEach: OPEN_EACH,
        },
        alice.reader,
        update,
      ),
    (minted) => `${minted / 10n ** 18n} OPEN locked on L1 and minted on L2`,
  )
  const authors = loadAuthors(options.rowsPerAuthor)
  const datanet = await progress.step(
    'Datanet of State of the Union speeches',
    (update) => createDatanet({ name: 'State of the Union', authors, curator, rpc }, update),
    ({ rows }) => `${rows} rows of ${authors.length} authors`,
  )
  const { model } = await progress.step(
    'fine-tune and attribution index',
    (update) => train({ datanet, builder, rpc }, update),
    ({ model: { losses } }) => `loss ${losses[0]?.toFixed(3)} to ${losses.at(-1)?.toFixed(3)}`,
  )
  const modelId = await progress.step(
    'register the model',
    (update) =>
      registerModel(
        { name: MODEL_NAME, model, builder, rateIn: RATE_IN, rateOut: RATE_OUT },
        update,
      ),
    (id) => `${model.chunks.length} chunks in state, id ${id.slice(0, 18)}…`,
  )
  const answer = await progress.step(
    'paid inference, settled',
    async () => {
      await Promise.all([fundEscrow(alice, '100'), fundEscrow(wallet('sponsor'), '1000')])
      const question = { model: MODEL_NAME, prompt: PROMPT, maxTokens: MAX_TOKENS }
      return ask(question, {
        url: nodes.sequencer.url,
        payer: alice,
        provider: devnetAccount('provider').address,
        rpc,
      })
    },
    ({ receipt }) =>
      `receipt ${receipt.receiptHash.slice(0, 18)}… in block ${receipt.block.number}`,
  )
  const outcome = await progress.step(
    'validator derives from L1, re-runs, compares',
    (update) =>
      awaitVerdict(
        answer.receipt,
        { sequencer: rpc, validator: createRpc(nodes.validator.url) },
        update,
      ),
    ({ verdict }) => (verdict.ok ? 'everything agrees' : 'MISMATCH'),
  )
  printOutcome({
    answer,
    outcome,
    authors,
    modelId,
    elapsed: progress.elapsed(),
    nodes,
    dir,
    stays: !options.exit,
  })
  return outcome.agreed
}

async function startL1(
  dir: string,
  stops: (() => Promise<void>)[],
): Promise<{ l1: L1; config: ChainConfig }> {
  const l1 = await startAnvil({ port: PORTS.l1, blockTime: L1_BLOCK_SECONDS })
  stops.push(l1.stop)
  const deployer = devnetAccount('deployer')
  const rpc = createRpc(l1.rpc)
  for (const { address } of [deployer, devnetAccount('batcher')]) {
    await rpc('anvil_setBalance', address, `0x${(10n ** 21n).toString(16)}`)
  }
  const deployed = await deployL1({ rpcUrl: l1.rpc, deployerKey: deployer.privateKey })
  const config = await chainConfig(deployed)
  writeFileSync(join(dir, 'rollup.json'), encodeChainConfig(config))
  return { l1, config }
}

async function chainConfig(deployed: Awaited<ReturnType<typeof deployL1>>): Promise<ChainConfig> {
  const { timestamp, ...l1 } = deployed.genesisL1
  const config: ChainConfig = {
    l1ChainId: deployed.l1ChainId,
    l2ChainId: L2_CHAIN_ID,
    genesis: {
      l1,
      l2: { hash: ZERO_HASH, number: 0n },
      l2Time: timestamp,
      systemConfig: {
        batcher: devnetAccount('batcher').address,
        gasLimit: 60_000_000n,
        baseFeeScalar: 1_368,
        blobBaseFeeScalar: 810_949,
        eip1559Denominator: 250,
        eip1559Elasticity: 6,
        unsafeBlockSigner: devnetAccount('sequencer').address,
      },
    },
    blockTime: 1n,
    maxSequencerDrift: 600n,
    seqWindowSize: 600n,
    channelTimeout: 50n,
    batchInbox: `0x00${L2_CHAIN_ID.toString().padStart(38, '0')}`,
    portal: deployed.portal,
    l1Contracts: { token: deployed.token, portal: deployed.portal },
  }
  const { block } = await createGenesis(config, genesisAlloc(config))
  return { ...config, genesis: { ...config.genesis, l2: { hash: block.hash, number: 0n } } }
}

async function startNodes(
  dir: string,
  l1: L1,
  stops: (() => Promise<void>)[],
): Promise<{ sequencer: Role; validator: Role }> {
  const common = {
    rollup: join(dir, 'rollup.json'),
    l1Rpc: [l1.rpc],
    l1Beacon: [l1.beacon],
    l1StrictRoots: false,
    p2pPort: 0,
  }
  const sequencer = await startRole('sequencer', dir, {
    ...common,
    rpcPort: PORTS.sequencer,
    batchIntervalMs: 2_000,
    batchDa: 'blobs',
    sequencerKey: devnetAccount('sequencer').privateKey,
    batcherKey: devnetAccount('batcher').privateKey,
    providerKey: devnetAccount('provider').privateKey,
    sponsorKey: devnetAccount('sponsor').privateKey,
  })
  stops.push(sequencer.stop)
  const validator = await startRole('validator', dir, {
    ...common,
    rpcPort: PORTS.validator,
    peers: [sequencer.p2p],
    sequencerRpc: sequencer.url,
    validatorKey: devnetAccount('carol').privateKey,
  })
  stops.push(validator.stop)
  return { sequencer, validator }
}

/** Every endpoint of the run, for tools. */
function writeEndpoints(
  dir: string,
  run: { l1: L1; config: ChainConfig; sequencer: Role; validator: Role },
): void {
  const { l1, config, sequencer, validator } = run
  const endpoints = {
    l1: { rpc: l1.rpc, beacon: l1.beacon, chainId: config.l1ChainId },
    l2: { rpc: sequencer.url, ws: sequencer.url.replace('http', 'ws'), chainId: config.l2ChainId },
    validator: { rpc: validator.url },
    openai: `${sequencer.url}/v1`,
    web: `${sequencer.url}/`,
    accounts: devnetAccounts(),
    contracts: { ...config.l1Contracts, ...OP, ...OPENLEDGER, ...PRECOMPILE },
  }
  writeFileSync(join(dir, 'endpoints.json'), `${JSON.stringify(endpoints, null, 2)}\n`)
}

/** A fresh folder; one that is not a devnet's is left alone. */
function prepareFolder(path: string): string {
  const dir = resolve(path)
  if (existsSync(dir) && !existsSync(join(dir, '.openledger-devnet'))) {
    throw userError(
      'devnet-folder',
      `${dir} exists and is not a devnet's folder; choose another with --dir`,
    )
  }
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, '.openledger-devnet'), '')
  return dir
}
