/** Settlement, wired for one node: who signs, who proposes, who challenges, as the options say. */
import type { Hex } from '../../node/base/bytes.ts'
import { messageOf } from '../../node/base/errors.ts'
import type { Log } from '../../node/base/log.ts'
import { optionalSigner } from '../../node/keys/resolve.ts'
import { type Signer, withoutSigner } from '../../node/keys/signer.ts'
import { FEE_LIMITS_DEFAULT } from '../../node/l1/fees.ts'
import { L1Sender } from '../../node/l1/sender.ts'
import type { Node } from '../../node/main.ts'
import { method, type RpcMethods } from '../../node/rpc/method.ts'
import { count, required } from '../../node/rpc/params.ts'
import { attestation, settlementStatus } from '../../node/rpc/results/openledger.ts'
import { SettlementContracts } from './contracts.ts'
import { Games } from './games.ts'
import { L1Calls } from './l1-calls.ts'
import { Attestor, collectAttestations, Outputs } from './outputs.ts'
import { SERVICE_DEFAULTS, SettlementService } from './service.ts'

export type Settlement = {
  readonly service: SettlementService
  readonly methods: RpcMethods
  /** That the keys are where the options say. */
  check(): Promise<void>
}

/** Null on a chain without settlement contracts, unless an option asks for them.
 * @throws NodeError `options` when a key or an option cannot be used. */
export function createSettlement(
  node: Node,
  validator: { readonly signer: Signer; readonly verifiedBlock: () => bigint },
): Settlement | null {
  const { config, options, store, chain, l1, pipeline } = node
  const [proposer, challenger] = [
    optionalSigner('proposer', options),
    optionalSigner('challenger', options),
  ]
  if (!config.l1Contracts.disputeGameFactory && !proposer && !challenger) return null
  const log = node.log.child('settlement')
  const contracts = new SettlementContracts(config, l1.client)
  const { domain } = contracts
  const head = options.outputHead
  const outputs = new Outputs({ chain, verifiedBlock: validator.verifiedBlock, head })
  const attestor = new Attestor({
    outputs,
    domain,
    signer: validator.signer,
    signed: store.table('attested'),
  })
  const calls = new Map<Hex, L1Calls>()
  /** One for each account, so that its nonces are given out in one place. */
  const callsOf = (signer: Signer | null): L1Calls | null => {
    if (!signer) return null
    const made =
      calls.get(signer.address) ??
      new L1Calls({
        signer,
        chainId: config.l1ChainId,
        sender: new L1Sender({ client: l1.client, signer, chainId: config.l1ChainId }),
        estimateGas: (call, from) => contracts.estimateGas(call, from),
        table: store.table('l1-calls'),
        fees: FEE_LIMITS_DEFAULT,
        log,
      })
    calls.set(signer.address, made)
    return made
  }
  const service = new SettlementService(
    {
      ...SERVICE_DEFAULTS,
      pollMs: options.settlementPollMs,
      intervalBlocks: BigInt(options.outputIntervalBlocks),
    },
    {
      contracts,
      games: new Games(contracts, {
        seen: store.table('games-seen'),
        open: store.table('games-open'),
      }),
      outputs,
      collect: (output) =>
        collectAttestations(
          {
            attestor,
            peers: options.attestors,
            domain,
            isBonded: (address) => contracts.isBonded(address),
            threshold: () => contracts.threshold(),
            log,
          },
          output,
        ),
      proposer: callsOf(proposer),
      challenger: callsOf(challenger),
      derived: () => ({
        l1Timestamp: pipeline.status.currentRef?.timestamp ?? 0n,
        safe: chain.headRef('safe').number,
      }),
      log,
    },
  )
  node.checks.push({ name: 'settlement', run: () => service.fatal })
  const check = async (): Promise<void> => {
    await proposer?.check()
    await challenger?.check()
  }
  return { service, methods: methodsOf({ service, attestor, log }), check }
}

function methodsOf({
  service,
  attestor,
  log,
}: {
  service: SettlementService
  attestor: Attestor
  log: Log
}): RpcMethods {
  return {
    openledger_attestOutput: method({
      summary: "This validator's signature over the output root after a block it has verified",
      params: [required('block', count)],
      result: attestation,
      handler: async (_context, [number]) => {
        const attestation = await attestor.attest(BigInt(number)).catch((error) => {
          log.debug('no attestation', { block: number, error: messageOf(error) })
          throw withoutSigner(error)
        })
        return { ...attestation, l2BlockNumber: Number(attestation.l2BlockNumber) }
      },
    }),
    openledger_settlementStatus: method({
      summary: 'Outputs proposed and settled on L1 as this validator sees them, and its alarms',
      params: [],
      result: settlementStatus,
      handler: () => {
        const { openGames, proposedBlock, anchorBlock, alarms } = service.status
        return {
          openGames,
          proposedBlock: Number(proposedBlock),
          anchorBlock: Number(anchorBlock),
          alarms: [...alarms],
        }
      },
    }),
  }
}
