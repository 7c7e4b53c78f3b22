/**
 * The economy's life on the devnet, as its people would live it, through public endpoints only: bridge
 * OPEN, contribute data, train, register, ask, be paid. Each function is one step of `npm start`.
 */
import { type Abi, createPublicClient, createWalletClient, http, parseEther } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import {
  DatanetRegistry,
  InferenceEscrow,
  ModelRegistry,
  OpenToken,
  Portal,
} from '../../genesis/contracts.generated.ts'
import {
  bytesToBigint,
  fromHex,
  type Hex,
  keccak,
  keccakHex,
  toHex,
  utf8,
} from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { encodeRows, rowsRoot } from '../../node/datanet/rows.ts'
import { encodeVersionManifest, versionRoot } from '../../node/datanet/version.ts'
import {
  type DatanetVersionRef,
  DEFAULT_TRAINING,
  manifestHash,
  type TrainingManifest,
} from '../../node/factory/manifest.ts'
import type { Account } from './accounts.ts'
import type { Author } from './sotu.ts'
import type { Call, Wallet } from './wallet.ts'

export type Rpc = <T>(method: string, ...params: unknown[]) => Promise<T>
type Update = (part: number, note?: string) => void

const DEPOSIT_GAS = 100_000n
const POLL_MS = 200
const STEP_TIMEOUT_MS = 240_000

/** A plain JSON-RPC caller; an error names the method. */
export function createRpc(url: string): Rpc {
  let id = 0
  return async <T>(method: string, ...params: unknown[]): Promise<T> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }),
      signal: AbortSignal.timeout(30_000),
    })
    const { result, error } = (await response.json()) as { result: T; error?: { message: string } }
    if (error) throw userError('rpc', `${method}: ${error.message}`)
    return result
  }
}

/** Polls until `probe` gives something. @throws NodeError `timeout` naming what did not happen. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false>,
): Promise<T> {
  const end = Date.now() + STEP_TIMEOUT_MS
  for (;;) {
    const found = await probe()
    if (found) return found
    if (Date.now() > end)
      throw userError('timeout', `${what} did not happen within ${STEP_TIMEOUT_MS / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Locks OPEN on L1 for each account and waits until it is theirs on L2. wei minted in all. */
export async function bridge(
  input: {
    l1Rpc: string
    config: ChainConfig
    holder: Account
    accounts: readonly Account[]
    openEach: string
  },
  reader: Wallet['reader'],
  update: Update,
): Promise<bigint> {
  const { config, accounts } = input
  const transport = http(input.l1Rpc)
  const l1 = createPublicClient({ transport, pollingInterval: POLL_MS })
  const holder = createWalletClient({
    account: privateKeyToAccount(input.holder.privateKey),
    transport,
  })
  const amount = parseEther(input.openEach)
  const total = amount * BigInt(accounts.length)
  let nonce = await l1.getTransactionCount({ address: holder.account.address })
  const token = config.l1Contracts.token as Hex
  const send = (call: { address: Hex; abi: Abi; functionName: string; args: readonly unknown[] }) =>
    holder.writeContract({ ...call, chain: null, nonce: nonce++, gas: 300_000n })
  const hashes = [
    await send({
      address: token,
      abi: OpenToken.abi,
      functionName: 'approve',
      args: [config.portal, total],
    }),
  ]
  for (const { address } of accounts) {
    const args = [address, amount, amount, DEPOSIT_GAS, false, '0x']
    hashes.push(
      await send({
        address: config.portal,
        abi: Portal.abi,
        functionName: 'depositERC20Transaction',
        args,
      }),
    )
  }
  for (const hash of hashes) {
    const { status } = await l1.waitForTransactionReceipt({ hash })
    if (status !== 'success') throw userError('reverted', `the deposit ${hash} reverted on L1`)
  }
  for (const [i, { address, name }] of accounts.entries()) {
    await until(
      `the deposit for ${name}`,
      async () => (await reader.getBalance({ address })) >= amount,
    )
    update((i + 1) / accounts.length, name)
  }
  return total
}

/** Creates a Datanet and lets every author contribute by commit and reveal, gas paid by the curator. */
export async function createDatanet(
  input: { name: string; authors: readonly Author[]; curator: Wallet; rpc: Rpc },
  update: Update,
): Promise<DatanetVersionRef & { rows: number }> {
  const { authors, curator, rpc } = input
  const registry = { address: OPENLEDGER.datanetRegistry, abi: DatanetRegistry.abi as Abi }
  const licence = keccakHex(utf8('public domain'))
  const created = await curator.send({
    ...registry,
    functionName: 'create',
    args: [
      input.name,
      '{"text":"string","meta":{"year":"number"}}',
      licence,
      10_000,
      curator.address,
      [],
    ],
  })
  const datanet = bytesToBigint(fromHex(created.logs[0]?.topics[1] as Hex))

  const contributions = []
  for (const author of authors) {
    const file = await rpc<Hex>('openledger_putContent', toHex(encodeRows(author.rows)))
    const root = rowsRoot(author.rows)
    const salt = toHex(keccak(utf8(`${author.name} ${root}`)))
    contributions.push({
      contributor: author.address,
      rowsRoot: root,
      rowCount: author.rows.length,
      file,
      salt,
    })
  }
  const commits = await Promise.all(
    contributions.map(async ({ contributor, rowsRoot: root, rowCount, salt }): Promise<Call> => {
      const args = [datanet, contributor, root, rowCount, salt]
      const commitment = await curator.read({ ...registry, functionName: 'commitmentFor', args })
      return { ...registry, functionName: 'commit', args: [datanet, commitment] }
    }),
  )
  const count = authors.length
  const sent = await curator.sendAll(commits, (done) =>
    update(done / (2 * count), `${done} committed`),
  )
  // A reveal counts only in a later block than its commitment, and calls are tried on the newest block.
  const last = sent.reduce((a, { blockNumber }) => (blockNumber > a ? blockNumber : a), 0n)
  await until(
    'the next block',
    async () => (await curator.reader.getBlockNumber({ cacheTime: 0 })) > last,
  )
  const reveals = contributions.map(
    ({ contributor, rowsRoot: root, rowCount, salt }): Call => ({
      ...registry,
      functionName: 'revealFor',
      args: [contributor, datanet, root, rowCount, salt],
    }),
  )
  await curator.sendAll(reveals, (done) => update(0.5 + done / (2 * count), `${done} revealed`))

  const manifest = encodeVersionManifest({
    version: 1,
    contributions: contributions.map(({ salt: _, ...contribution }) => contribution),
  })
  const hash = await rpc<Hex>('openledger_putContent', toHex(manifest))
  const rows = authors.flatMap(({ address, rows: own }) =>
    own.map((row) => ({ contributor: address, row })),
  )
  const root = versionRoot(rows)
  const args = [datanet, root, rows.length, `0x${'00'.repeat(32)}`, hash]
  await curator.send({ ...registry, functionName: 'publish', args })
  return {
    datanet: datanet.toString(),
    version: 1,
    rowsRoot: root,
    manifestHash: hash,
    rows: rows.length,
  }
}

export type TrainedModel = {
  readonly manifestHash: Hex
  readonly adapterHash: Hex
  readonly artefactHash: Hex
  readonly leavesRoot: Hex
  readonly losses: readonly number[]
  readonly contributors: readonly Hex[]
  readonly chunks: readonly Hex[]
  readonly seal: Hex
}

type JobView = {
  readonly state: string
  readonly error?: string
  readonly progress?: { phase: string; step: number; steps: number; loss?: number; stage?: string }
  readonly result?: TrainedModel
}

/** Registers the base, commits the manifest, and lets the node train. */
export async function train(
  input: { datanet: DatanetVersionRef; builder: Wallet; rpc: Rpc },
  update: Update,
): Promise<{ model: TrainedModel; manifest: TrainingManifest }> {
  const { builder, rpc } = input
  const { datanet, version, rowsRoot: root, manifestHash: versionManifest } = input.datanet
  const registry = { address: OPENLEDGER.modelRegistry, abi: ModelRegistry.abi as Abi }
  const info = await rpc<{
    baseModel: { hash: Hex; name: string; licence: string }
    kernelSet: number
  }>('openledger_nodeInfo')
  const manifest: TrainingManifest = {
    ...DEFAULT_TRAINING,
    base: info.baseModel.hash,
    kernelSet: info.kernelSet,
    datanets: [{ datanet, version, rowsRoot: root, manifestHash: versionManifest }],
  }
  const { name, licence } = info.baseModel
  await builder.send({
    ...registry,
    functionName: 'registerBase',
    args: [manifest.base, name, licence],
  })
  const hash = manifestHash(manifest)
  const args = [hash, manifest.base, [BigInt(datanet)], [version]]
  await builder.send({ ...registry, functionName: 'commitManifest', args })

  const id = await rpc<Hex>('openledger_submitJob', manifest)
  const model = await until('the training', async () => {
    const job = await rpc<JobView>('openledger_getJob', id)
    if (job.state === 'failed') throw userError('job-failed', `the training failed: ${job.error}`)
    if (job.progress) update(...progressOf(job.progress))
    return job.result
  })
  return { model, manifest }
}

/** Uploads the table chunk by chunk, seals it, sets the price. The model's id on chain. */
export async function registerModel(
  input: { name: string; model: TrainedModel; builder: Wallet; rateIn: bigint; rateOut: bigint },
  update: Update,
): Promise<Hex> {
  const { model, builder } = input
  const registry = { address: OPENLEDGER.modelRegistry, abi: ModelRegistry.abi as Abi }
  for (const [i, chunk] of model.chunks.entries()) {
    await builder.send({ ...registry, functionName: 'putChunk', args: [chunk] })
    update((i + 1) / (model.chunks.length + 2), `chunk ${i + 1} of ${model.chunks.length}`)
  }
  const params = {
    manifestHash: model.manifestHash,
    adapterHash: model.adapterHash,
    artefactHash: model.artefactHash,
    leavesRoot: model.leavesRoot,
    name: input.name,
    sealManifest: model.seal,
  }
  await builder.send({ ...registry, functionName: 'registerModel', args: [params] })
  const modelId = keccakHex(fromHex(model.seal))
  await builder.send({
    ...registry,
    functionName: 'setRates',
    args: [modelId, input.rateIn, input.rateOut],
  })
  return modelId
}

/** Prepaid balance from which the payer's vouchers draw. */
export async function fundEscrow(payer: Wallet, open: string): Promise<void> {
  const escrow = { address: OPENLEDGER.inferenceEscrow, abi: InferenceEscrow.abi as Abi }
  await payer.send({ ...escrow, functionName: 'deposit', args: [], value: parseEther(open) })
}

function progressOf(progress: NonNullable<JobView['progress']>): [number, string] {
  const { phase, step, steps, loss, stage } = progress
  const part = steps === 0 ? 0 : step / steps
  if (phase === 'train') return [part / 2, `step ${step} of ${steps}, loss ${loss?.toFixed(3)}`]
  return [0.5 + part / 2, `attribution index: ${stage}`]
}
