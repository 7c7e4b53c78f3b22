/**
 * What an agent or a dApp does on this chain, as viem actions:
 *
 *   const client = createWalletClient({ account, transport: http(url) }).extend(openLedgerActions)
 *   const { id, model } = await client.findAgent()
 *
 * Whoever writes gets the transaction's receipt back, in a block; a revert is thrown with the contract's reason.
 */
import {
  type Account,
  type Client,
  parseEventLogs,
  publicActions,
  size,
  type TransactionReceipt,
  type WriteContractSyncParameters,
  zeroHash,
} from 'viem'
import { writeContractSync } from 'viem/actions'
import { OP, OPENLEDGER } from '../../genesis/addresses.ts'
import {
  PayableWOPEN,
  ReputationRegistry,
  RewardDistributor,
} from '../../genesis/contracts.generated.ts'
import type { ShareProof } from '../../node/attribution/share-proof.ts'
import type { SettledView } from '../../node/attribution/verify/receipt.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { contracts, type OpenLedgerContracts } from './contracts.ts'

/** Of the newest, how many `findAgent` looks at. */
const AGENTS_SEEN_MAX = 256n
const WAIT_MS_MAX = 600_000
/** A block. */
const POLL_MS_MAX = 1_000

export type FoundAgent = {
  readonly id: bigint
  readonly owner: Hex
  /** Its registration file (ERC-8004). */
  readonly uri: string
  readonly model: Hex
}

export type Opinion = {
  readonly agentId: bigint
  /** The answer's, settled. */
  readonly receipt: SettledView
  /** Of the x402 payment; absent where a voucher paid. */
  readonly nonce?: Hex
  readonly value: bigint
  readonly tag?: string
}

export type OpenLedgerActions = {
  readonly contracts: OpenLedgerContracts
  /** The newest agent of the registry that offers a model. @throws Error when there is none */
  findAgent(): Promise<FoundAgent>
  /** OPEN into wrapped OPEN, by which x402 pays. */
  wrapOpen(wei: bigint): Promise<TransactionReceipt>
  /** The receipt, as soon as it is settled. @throws Error after `timeoutMs` */
  waitForReceipt(hash: Hex, timeoutMs?: number): Promise<SettledView>
  /** A proof for each contributor of the receipt, as `verifyReceipt` wants them. */
  getShareProofs(receipt: SettledView): Promise<(ShareProof | null)[]>
  /** Feedback on an agent by who paid for the receipt, once for each. @returns its place in the registry */
  giveFeedback(opinion: Opinion): Promise<bigint>
  /** Claims the oldest epoch that holds something for this account, when nobody can dispute it any more; 0: nothing. @returns wei */
  claimRewards(timeoutMs?: number): Promise<bigint>
}

type Writer = Client & { readonly account: Account }

export function openLedgerActions(base: Client): OpenLedgerActions {
  const client = base.extend(publicActions)
  const of = contracts(client)
  const send = (call: Omit<WriteContractSyncParameters, 'chain' | 'account'>) => {
    const { account } = base as Writer
    if (!account) throw new Error('this client has no account to write with')
    const more = { account, chain: base.chain ?? null, throwOnReceiptRevert: true }
    return writeContractSync(base, { ...call, ...more } as WriteContractSyncParameters)
  }
  const rpc = <T>(method: string, ...params: unknown[]): Promise<T> =>
    client.request({ method, params } as never) as Promise<T>
  const me = (): Hex => (base as Writer).account.address
  const pollMs = Math.min(client.pollingInterval, POLL_MS_MAX)
  const until = async <T>(
    what: string,
    timeoutMs: number,
    probe: () => Promise<T | null>,
  ): Promise<T> => {
    const end = Date.now() + timeoutMs
    for (;;) {
      const found = await probe()
      if (found !== null) return found
      if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1_000} s`)
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }
  return {
    contracts: of,
    findAgent: async () => {
      const { agentCount, getMetadata, ownerOf, tokenURI } = of.agents.read
      const count = await agentCount()
      const last = count > AGENTS_SEEN_MAX ? count - AGENTS_SEEN_MAX : 0n
      for (let id = count; id > last; id--) {
        const model = await getMetadata([id, 'model'])
        if (size(model) !== 32) continue
        const [owner, uri] = await Promise.all([ownerOf([id]), tokenURI([id])])
        return { id, owner, uri, model }
      }
      throw new Error(`none of the ${count - last} newest agents offers a model`)
    },
    wrapOpen: (value) =>
      send({ address: OP.wopen, abi: PayableWOPEN.abi, functionName: 'deposit', value }),
    waitForReceipt: (hash, timeoutMs = WAIT_MS_MAX) =>
      until(`the settlement of ${hash}`, timeoutMs, () => rpc('openledger_getReceipt', hash)),
    getShareProofs: ({ receiptHash, contributors }) =>
      Promise.all(
        contributors.map(({ account }) =>
          rpc<ShareProof | null>('openledger_getAttributionProof', receiptHash, account),
        ),
      ),
    giveFeedback: async ({ agentId, receipt, nonce = zeroHash, value, tag = '' }) => {
      const none = { valueDecimals: 0, tag2: '', endpoint: '', feedbackURI: '' }
      const opinion = { ...none, value, tag1: tag, feedbackHash: zeroHash }
      await send({
        address: OPENLEDGER.reputationRegistry,
        abi: ReputationRegistry.abi,
        functionName: 'giveFeedbackForReceipt',
        args: [agentId, opinion, receipt, nonce, zeroHash],
      })
      return of.reputation.read.getLastIndex([agentId, me()])
    },
    claimRewards: async (timeoutMs = WAIT_MS_MAX) => {
      const { unclaimedEpochs, claimableFrom } = of.rewards.read
      const [epoch] = await unclaimedEpochs([me()])
      if (epoch === undefined) return 0n
      const from = await claimableFrom([epoch])
      const isFinal = async (): Promise<true | null> =>
        (await client.getBlock()).timestamp >= from || null
      await until(`the end of disputes over epoch ${epoch}`, timeoutMs, isFinal)
      const { abi } = RewardDistributor
      const call = { address: OPENLEDGER.rewardDistributor, abi, functionName: 'claim' }
      const { logs } = await send({ ...call, args: [[epoch]] })
      const claims = parseEventLogs({ abi, logs, eventName: 'Claimed' })
      return claims.reduce((sum, { args }) => sum + args.amount, 0n)
    },
  }
}
