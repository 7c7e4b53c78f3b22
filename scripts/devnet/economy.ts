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
  IdentityRegistry,
  InferenceEscrow,
  JobRegistry,
  ModelRegistry,
  OpenToken,
  Portal,
  Staking,
} from '../../genesis/contracts.generated.ts'
import { writeCard } from '../../node/agents/directory.ts'
import {
  bytesToBigint,
  fromHex,
  type Hex,
  keccakHex,
  toHex,
  utf8,
  ZERO_HASH,
} from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { commitmentOf, signContribution } from '../../node/datanet/contribution.ts'
import { encodeGroups, GroupIndex } from '../../node/datanet/groups.ts'
import { NO_QUORUM, PUBLIC_DOMAIN } from '../../node/datanet/licence.ts'
import { encodeRows, rowsRoot } from '../../node/datanet/rows.ts'
import { packVersion } from '../../node/datanet/version.ts'
import type { DatanetVersionRef } from '../../node/factory/manifest.ts'
import type { JobView } from '../../node/factory/view.ts'
import { type JobDraft, termsOf } from '../cli/draft.ts'
import type { Account } from './accounts.ts'
import type { Author } from './sotu.ts'
import type { Call, Wallet } from './wallet.ts'

export type Rpc = <T>(method: string, ...params: unknown[]) => Promise<T>
type Update = (part: number, note?: string) => void

const DEPOSIT_GAS = 100_000n
const POLL_MS = 200
/** A step that shows no progress for so long has failed; one that moves may take its time. */
const SILENT_MS_MAX = 240_000

/** A plain JSON-RPC caller; an error names the method. */
export function createRpc(url: string): Rpc {
  let id = 0
  return async <T>(method: string, ...params: unknown[]): Promise<T> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }),
      signal: AbortSignal.timeout(120_000),
    })
    const { result, error } = (await response.json()) as { result: T; error?: { message: string } }
    if (error) throw userError('rpc', `${method}: ${error.message}`)
    return result
  }
}

/** Tells how far it is, in any words: others than last time are progress. */
export type At = (place: unknown) => void

/** Polls until `probe` gives something. @throws NodeError `timeout` naming what did not happen, when nothing moved for long */
export async function until<T>(
  what: string,
  probe: (at: At) => Promise<T | null | undefined | false>,
): Promise<T> {
  let last = ''
  let end = Date.now() + SILENT_MS_MAX
  const at: At = (place) => {
    const now = JSON.stringify(place)
    if (now === last) return
    last = now
    end = Date.now() + SILENT_MS_MAX
  }
  for (;;) {
    const found = await probe(at)
    if (found) return found
    if (Date.now() > end) {
      const where = last && ` (last at ${last})`
      throw userError(
        'timeout',
        `${what} did not happen: nothing moved for ${SILENT_MS_MAX / 1000} s${where}`,
      )
    }
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

  const { manifest, rowCount, ...packed } = packVersion(
    authors.map(({ address, rows }, i) => ({
      contributor: address,
      file: contributions[i]?.contribution.contentHash as Hex,
      rows,
    })),
  )
  const manifestHash = await rpc<Hex>('openledger_putContent', toHex(manifest))
  const groups = encodeGroups({
    asOf: sent.blockNumber,
    rows: new GroupIndex().addRows(authors.flatMap(({ rows }) => rows)),
  })
  const groupsHash = await rpc<Hex>('openledger_putContent', toHex(groups))
  const version = { parent: ZERO_HASH, manifestHash, groupsHash, ...packed }
  await curator.send({ ...registry, functionName: 'publish', args: [datanet, version] })
  return {
    datanet: datanet.toString(),
    version: 1,
    rowsRoot: packed.rowsRoot,
    manifestHash,
    groupsHash,
    rows: rowCount,
  }
}

export type TrainedModel = {
  readonly modelId: Hex
  readonly losses: readonly number[]
  readonly contributors: number
  /** Pieces of the attribution table, in the state. */
  readonly chunks: number
}

/** Registers the base, commits the job with its fee, and waits until its model is on chain. */
export async function train(
  input: { name: string; datanet: DatanetVersionRef; builder: Wallet; rpc: Rpc },
  update: Update,
): Promise<TrainedModel> {
  const { builder, rpc, datanet } = input
  const { baseModel } = await rpc<{ baseModel: { hash: Hex; name: string; licence: string } }>(
    'openledger_nodeInfo',
  )
  await builder.send({
    address: OPENLEDGER.modelRegistry,
    abi: ModelRegistry.abi as Abi,
    functionName: 'registerBase',
    args: [baseModel.hash, baseModel.name, baseModel.licence],
  })
  const draft = await rpc<JobDraft>('openledger_draftJob', {
    name: input.name,
    datanets: [{ datanet: datanet.datanet, version: datanet.version }],
  })
  await builder.send({
    address: OPENLEDGER.jobRegistry,
    abi: JobRegistry.abi as Abi,
    functionName: 'submit',
    args: [termsOf(draft)],
    value: BigInt(draft.estimate.fee),
  })
  const id = await rpc<Hex>('openledger_submitJob', draft.manifest)
  return until('the training', async (at) => {
    const job = await rpc<JobView>('openledger_getJob', id)
    at([job.state, job.attempts, job.progress])
    if (job.state === 'failed' || job.state === 'cancelled')
      throw userError('job-failed', `the training ${job.state}: ${job.error?.message}`)
    if (job.progress) update(...progressOf(job.progress))
    const { result, modelId } = job
    if (!result || !modelId) return null
    return {
      modelId,
      losses: job.points.map(([, loss]) => loss),
      contributors: result.contributors.length,
      chunks: result.chunks.length,
    }
  })
}

/** The owner's price, wei per token. */
export async function setRates(
  modelId: Hex,
  input: { builder: Wallet; rateIn: bigint; rateOut: bigint },
): Promise<void> {
  await input.builder.send({
    address: OPENLEDGER.modelRegistry,
    abi: ModelRegistry.abi as Abi,
    functionName: 'setRates',
    args: [modelId, input.rateIn, input.rateOut],
  })
}

/** An agent (ERC-8004) of the owner's that offers the model. */
export async function offerAgent(modelId: Hex, owner: Wallet, name: string): Promise<void> {
  const card = { type: 'https://eips.ethereum.org/EIPS/eip-8004#registration-v1', name }
  await owner.send({
    address: OPENLEDGER.identityRegistry,
    abi: IdentityRegistry.abi as Abi,
    functionName: 'register',
    args: [writeCard(card), [{ metadataKey: 'model', metadataValue: modelId }]],
  })
}

/** Prepaid balance from which the payer's vouchers draw. */
export async function fundEscrow(payer: Wallet, open: string): Promise<void> {
  const escrow = { address: OPENLEDGER.inferenceEscrow, abi: InferenceEscrow.abi as Abi }
  await payer.send({ ...escrow, functionName: 'deposit', args: [], value: parseEther(open) })
}

/** What a provider needs to be listed; from then on its node keeps the listing. */
export async function bondProvider(provider: Wallet, open: string): Promise<void> {
  const staking = { address: OPENLEDGER.staking, abi: Staking.abi as Abi }
  const [PROVIDER, COMMISSION] = [0, 1_000]
  await provider.send({
    ...staking,
    functionName: 'open',
    args: [PROVIDER, COMMISSION],
    value: parseEther(open),
  })
}

function progressOf(progress: NonNullable<JobView['progress']>): [number, string] {
  const { step, steps } = progress
  const part = steps === 0 ? 0 : step / steps
  if (progress.phase === 'train')
    return [part / 2, `step ${step} of ${steps}, loss ${progress.loss.toFixed(3)}`]
  if (progress.phase === 'register')
    return [0.9 + part / 10, `attribution table: ${step} of ${steps}`]
  return [0.5 + 0.4 * part, `${progress.phase}: ${progress.stage}`]
}
