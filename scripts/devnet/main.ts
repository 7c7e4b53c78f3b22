/**
 * The devnet: everything real, on one machine. An L1 with blobs, our contracts on it, a sequencer and a
 * validator in processes of their own, then one inference from bridged OPEN to a verdict. It stays up
 * until it is told to stop.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { userError } from '../../node/base/errors.ts'
import { devnetAccount, devnetAccounts } from './accounts.ts'
import { ask, awaitVerdict } from './ask.ts'
import {
  bondProvider,
  bridge,
  createDatanet,
  createRpc,
  fundEscrow,
  offerAgent,
  setRates,
  train,
} from './economy.ts'
import { Progress } from './progress.ts'
import { printOutcome } from './report.ts'
import { loadAuthors } from './sotu.ts'
import { startL1, startNodes, writeEndpoints, writeNetwork } from './stack.ts'
import { createWallet } from './wallet.ts'

export type DevnetOptions = {
  readonly exit: boolean
  readonly rowsPerAuthor: number
  readonly dir: string
}

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
    async () => {
      const started = await startL1(dir)
      stops.push(started.l1.stop)
      return started
    },
    ({ l1, config }) => `anvil at ${l1.rpc}, portal ${config.portal}`,
  )
  const nodes = await progress.step(
    'sequencer and validator',
    async () => {
      const started = await startNodes(dir, chain.l1)
      stops.push(started.sequencer.stop, started.validator.stop)
      return started
    },
    ({ sequencer, validator }) => `${sequencer.url} and ${validator.url}, joined by libp2p`,
  )
  const { config, l1 } = chain
  writeEndpoints(dir, { l1, config, ...nodes })
  writeNetwork(dir, l1, nodes)
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
  const model = await progress.step(
    'ModelFactory: fine-tune, index, register',
    (update) => train({ name: MODEL_NAME, datanet, builder, rpc }, update),
    ({ losses, chunks }) =>
      `loss ${losses[0]?.toFixed(3)} to ${losses.at(-1)?.toFixed(3)}, ${chunks} chunks in state`,
  )
  const { modelId } = model
  await progress.step(
    'set the price, offer it as an agent',
    async () => {
      await setRates(modelId, { builder, rateIn: RATE_IN, rateOut: RATE_OUT })
      await offerAgent(modelId, builder, MODEL_NAME)
    },
    () => `model ${modelId.slice(0, 18)}…`,
  )
  const answer = await progress.step(
    'paid inference, settled',
    async () => {
      await Promise.all([
        fundEscrow(alice, '100'),
        fundEscrow(wallet('sponsor'), '1000'),
        bondProvider(wallet('provider'), '100'),
      ])
      const question = { model: MODEL_NAME, prompt: PROMPT, maxTokens: MAX_TOKENS }
      return ask(question, { url: nodes.sequencer.url, payer: alice, rpc })
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
