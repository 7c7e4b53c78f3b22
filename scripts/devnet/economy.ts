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
  ZERO_HASH,
} from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { commitmentOf, signContribution } from '../../node/datanet/contribution.ts'
import { encodeGroups, GroupIndex } from '../../node/datanet/groups.ts'
import { NO_QUORUM, PUBLIC_DOMAIN } from '../../node/datanet/licence.ts'
import { encodeRow, encodeRows, rowsRoot } from '../../node/datanet/rows.ts'
import { encodeVersionManifest, versionRoot } from '../../node/datanet/version.ts'
import {
  type DatanetVersionRef,
  DEFAULT_TRAINING,
  manifestHash,
  type TrainingManifest,
} from '../../node/model/manifest.ts'
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
  const params = {
    name: input.name,
    schema: '{"text":"string","meta":{"year":"number"}}',
    licence: PUBLIC_DOMAIN,
    treasury: curator.address,
    limits: { rowsMax: 10_000, rowBytesMax: 65_536, rowsPerDayMax: 0, bytesPerDayMax: 0n },
    quorum: NO_QUORUM,
    payer: 0,
    relayFee: 0n,
  }
  const created = await curator.send({ ...registry, functionName: 'create', args: [params] })
  const datanet = bytesToBigint(fromHex(created.logs[0]?.topics[1] as Hex))
  const chainId = await curator.reader.getChainId()

  const contributions = authors.map(({ name, address, privateKey, rows }) => {
    const file = encodeRows(rows)
    const contribution = {
      datanetId: datanet,
      contributor: address,
      rowsRoot: rowsRoot(rows),
      contentHash: keccakHex(file),
      rowCount: rows.length,
      byteCount: BigInt(file.length),
      isPrivate: false,
      salt: keccakHex(utf8(`${name} ${keccakHex(file)}`)),
    }
    const signature = signContribution(contribution, { key: fromHex(privateKey), chainId })
    return { contribution, file, signature }
  })
  const commitments = contributions.map(({ contribution }) => commitmentOf(contribution))
  const sent = await curator.send({
    ...registry,
    functionName: 'commit',
    args: [datanet, commitments],
  })
  update(0.5, `${commitments.length} committed`)
  // A reveal counts only in a later block than its commitment, and calls are tried on the newest block.
  await until(
    'the next block',
    async () => (await curator.reader.getBlockNumber({ cacheTime: 0 })) > sent.blockNumber,
  )
  for (const { file } of contributions) await rpc<Hex>('openledger_putContent', toHex(file))
  const reveals = contributions.map(
    ({ contribution, signature }): Call => ({
      ...registry,
      functionName: 'revealFor',
      args: [contribution, signature],
    }),
  )
  const count = authors.length
  await curator.sendAll(reveals, (done) => update(0.5 + done / (2 * count), `${done} revealed`))

  const manifest = encodeVersionManifest({
    version: 1,
    contributions: contributions.map(({ contribution }) => ({
      contributor: contribution.contributor,
      rowsRoot: contribution.rowsRoot,
      rowCount: contribution.rowCount,
      file: contribution.contentHash,
    })),
  })
  const hash = await rpc<Hex>('openledger_putContent', toHex(manifest))
  const rows = authors.flatMap(({ address, rows: own }) =>
    own.map((row) => ({ contributor: address, row })),
  )
  const index = new GroupIndex()
  const groups = encodeGroups({
    asOf: sent.blockNumber,
    rows: rows.map(({ row }) => index.add(keccak(encodeRow(row)), row.text)),
  })
  const groupsHash = await rpc<Hex>('openledger_putContent', toHex(groups))
  const root = versionRoot(rows)
  const version = {
    parent: ZERO_HASH,
    rowsRoot: root,
    manifestHash: hash,
    groupsHash,
    contributions: contributions.map(({ contribution }) => contribution.rowsRoot),
  }
  await curator.send({ ...registry, functionName: 'publish', args: [datanet, version] })
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
