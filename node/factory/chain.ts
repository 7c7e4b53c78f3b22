/**
 * What jobs ask of the chain: JobRegistry read and written with the worker's account. A write resolves when it
 * stands in a block.
 */
import { fromHex, type Hex, keccakHex, toHex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { StateView } from '../chain/state-view.ts'
import type { NodeAccount } from '../model/account.ts'
import { type ChainReader, type Contract, lower, orNull, readContract } from '../model/contracts.ts'
import { CONTRACTS, type ManifestTerms } from '../model/registry.ts'
import { ACTIONS, type Action } from './control.ts'
import type { Checkpoint } from './engine.ts'
import { configHash, manifestHash, purposeBits, type TrainingManifest } from './manifest.ts'
import type { ModelHashes } from './train.ts'

export const CHAIN_STATES = [
  'none',
  'queued',
  'running',
  'paused',
  'done',
  'failed',
  'cancelled',
] as const

export type ChainJob = {
  readonly owner: Hex
  readonly state: (typeof CHAIN_STATES)[number]
  readonly worker: Hex
  readonly assigned: Hex
  readonly fee: bigint
  readonly earned: bigint
  readonly deadline: bigint
  readonly controls: bigint
  readonly configHash: Hex
  readonly orderRoot: Hex
  readonly seed: number
  readonly kernelSet: number
  readonly modelId: Hex
}

export type Registration = ModelHashes & {
  readonly name: string
  readonly sealManifest: Hex
}

/** Arguments of `submit`, ready for any library. */
export type SubmitTerms = {
  readonly manifest: ManifestTerms
  readonly configHash: Hex
  readonly orderRoot: Hex
  readonly seed: number
  readonly kernelSet: number
  readonly worker: Hex
  readonly deadline: bigint
}

export function submitTerms(
  manifest: TrainingManifest,
  at: { worker: Hex; deadline: bigint },
): SubmitTerms {
  const data = [...manifest.datanets, ...manifest.inherited]
  const evaluation = manifest.evaluation.datanets
  return {
    manifest: {
      manifestHash: manifestHash(manifest),
      baseHash: manifest.base,
      datanetIds: data.map(({ datanet }) => BigInt(datanet)),
      versions: data.map(({ version }) => version),
      parents: manifest.parents.map(({ model }) => model),
      isMerge: manifest.parents.length > 1,
      isCommercial: manifest.commercial,
      purposes: purposeBits(manifest.purposes),
      contributorsPart: manifest.contributorsPart,
      evaluationIds: evaluation.map(({ datanet }) => BigInt(datanet)),
      evaluationVersions: evaluation.map(({ version }) => version),
    },
    configHash: configHash(manifest),
    orderRoot: manifest.orderRoot,
    seed: manifest.seed,
    kernelSet: manifest.kernelSet,
    worker: at.worker,
    deadline: at.deadline,
  }
}

/** The node's own account and the chain it stands on. */
export type JobChainModules = {
  readonly chain: ChainReader & {
    code(address: Hex): Uint8Array
    /** Seconds, of the newest block. */
    time(): bigint
    /** The newest state. */
    view(): Pick<StateView, 'simulate' | 'l1Fee' | 'header'>
  }
  readonly account: NodeAccount
  /** Waits until the transaction is in a block. */
  included(transaction: Hex): Promise<Inclusion>
  /** Resolves when there is another block. */
  nextBlock(): Promise<void>
}

export type Inclusion = {
  readonly isSuccess: boolean
  readonly logs: readonly { readonly address: Hex; readonly topics: readonly Hex[] }[]
}

export class JobChain {
  readonly #modules: JobChainModules

  constructor(modules: JobChainModules) {
    this.#modules = modules
  }

  get worker(): Hex {
    return this.#modules.account.address
  }

  get time(): bigint {
    return this.#modules.chain.time()
  }

  view(): ReturnType<JobChainModules['chain']['view']> {
    return this.#modules.chain.view()
  }

  async job(id: Hex): Promise<ChainJob | null> {
    type Raw = Omit<ChainJob, 'state'> & { readonly state: number }
    const job = await orNull(readContract<Raw>(this.#modules.chain, CONTRACTS.jobs, 'getJob', [id]))
    return (
      job && {
        ...job,
        owner: lower(job.owner),
        worker: lower(job.worker),
        assigned: lower(job.assigned),
        state: CHAIN_STATES[job.state] as ChainJob['state'],
      }
    )
  }

  async submit(terms: SubmitTerms, fee: bigint): Promise<void> {
    await this.send(CONTRACTS.jobs, 'submit', [terms], fee)
  }

  async start(id: Hex): Promise<void> {
    await this.send(CONTRACTS.jobs, 'start', [id])
  }

  async checkpoint(
    id: Hex,
    { step, steps, root }: Pick<Checkpoint, 'step' | 'steps' | 'root'>,
  ): Promise<void> {
    await this.send(CONTRACTS.jobs, 'checkpoint', [id, step, steps, root])
  }

  /** Stores a chunk of a table, unless the state has it. */
  async putChunk(chunk: Uint8Array): Promise<void> {
    const address = toHex(fromHex(keccakHex(chunk)).subarray(12))
    if (this.#modules.chain.code(address).length > 0) return
    await this.send(CONTRACTS.models, 'putChunk', [toHex(chunk)])
  }

  async complete(id: Hex, registration: Registration, resultHash: Hex): Promise<void> {
    await this.send(CONTRACTS.jobs, 'complete', [id, registration, resultHash])
  }

  async fail(id: Hex, reason: string): Promise<void> {
    await this.send(CONTRACTS.jobs, 'fail', [id, cut(reason)])
  }

  /** The owner's own, or with a signature of the owner. */
  async control(id: Hex, action: Action, signature?: Hex): Promise<void> {
    const index = ACTIONS.indexOf(action)
    await (signature
      ? this.send(CONTRACTS.jobs, 'controlFor', [id, index, signature])
      : this.send(CONTRACTS.jobs, 'control', [id, index]))
  }

  async pay(id: Hex): Promise<void> {
    await this.send(CONTRACTS.jobs, 'pay', [id])
  }

  nextBlock(): Promise<void> {
    return this.#modules.nextBlock()
  }

  async knowsBase(hash: Hex): Promise<boolean> {
    const base = readContract<object>(this.#modules.chain, CONTRACTS.models, 'getBase', [hash])
    return (await orNull(base)) !== null
  }

  /** A transaction of the node's account; the events it left. */
  async send(
    contract: Contract,
    name: string,
    args: readonly unknown[],
    value = 0n,
  ): Promise<Inclusion['logs']> {
    const transaction = await this.#modules.account.send(contract, name, args, value)
    const { isSuccess, logs } = await this.#modules.included(transaction)
    if (isSuccess) return logs
    throw new NodeError('transaction-reverted', 'retry', `${name} reverted in ${transaction}`)
  }
}

const REASON_BYTES_MAX = 256

function cut(reason: string): string {
  const bytes = Buffer.from(reason)
  if (bytes.length <= REASON_BYTES_MAX) return reason
  return bytes
    .subarray(0, REASON_BYTES_MAX)
    .toString('utf8')
    .replace(/\ufffd+$/, '')
}
