/** Settlement, wired for one node: who signs, who proposes, who challenges, as the options say. */
import { privateKeyToAccount } from 'viem/accounts'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { messageOf, userError } from '../../node/base/errors.ts'
import { parsePrivateKey } from '../../node/base/keys.ts'
import { FEE_LIMITS_DEFAULT } from '../../node/l1/fees.ts'
import { L1Sender } from '../../node/l1/sender.ts'
import type { Node } from '../../node/main.ts'
import { method, type RpcMethods } from '../../node/rpc/method.ts'
import { count, required } from '../../node/rpc/params.ts'
import { SettlementContracts } from './contracts.ts'
import { Games } from './games.ts'
import { L1Calls } from './l1-calls.ts'
import { Attestor, collectAttestations, type OutputHead, Outputs } from './outputs.ts'
import { SERVICE_DEFAULTS, SettlementService } from './service.ts'

export type Settlement = {
  readonly service: SettlementService
  readonly methods: RpcMethods
}

/** Null on a chain without settlement contracts, unless an option asks for them.
 * @throws NodeError `options` when a key or an option cannot be used. */
export function createSettlement(
  node: Node,
  validator: { readonly key: Uint8Array; readonly verifiedBlock: () => bigint },
): Settlement | null {
  const { config, options, store, chain, l1, pipeline } = node
  const { proposerKey, challengerKey } = options
  if (!config.l1Contracts.disputeGameFactory && !proposerKey && !challengerKey) return null
  const log = node.log.child('settlement')
  const contracts = new SettlementContracts(config, l1.client)
  const { domain } = contracts
  const head = options.outputHead as OutputHead
  const outputs = new Outputs({ chain, verifiedBlock: validator.verifiedBlock, head })
  const attestor = new Attestor({
    outputs,
    domain,
    key: validator.key,
    signed: store.table('attested'),
  })
  const calls = new Map<Hex, L1Calls>()
  /** One for each key, so that its nonces are given out in one place. */
  const callsOf = (role: string, hex: string | null): L1Calls | null => {
    if (!hex) return null
    const key = keyOf(role, hex)
    const account = privateKeyToAccount(toHex(key))
    const address = account.address.toLowerCase() as Hex
    const made =
      calls.get(address) ??
      new L1Calls({
        account,
        chainId: config.l1ChainId,
        sender: new L1Sender({
          client: l1.client,
          privateKey: toHex(key),
          chainId: config.l1ChainId,
        }),
        estimateGas: (call, from) => contracts.estimateGas(call, from),
        table: store.table('l1-calls'),
        fees: FEE_LIMITS_DEFAULT,
        log,
      })
    calls.set(address, made)
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
      proposer: callsOf('proposer', proposerKey),
      challenger: callsOf('challenger', challengerKey),
      derived: () => ({
        l1Timestamp: pipeline.status.currentRef?.timestamp ?? 0n,
        safe: chain.headRef('safe').number,
      }),
      log,
    },
  )
  return { service, methods: methodsOf(service, attestor) }
}

function methodsOf(service: SettlementService, attestor: Attestor): RpcMethods {
  return {
    openledger_attestOutput: method({
      summary: "This validator's signature over the output root after a block it has verified",
      params: [required('block', count)],
      result: { type: 'object' },
      handler: async (_context, [number]) => {
        const attestation = await attestor.attest(BigInt(number))
        return { ...attestation, l2BlockNumber: Number(attestation.l2BlockNumber) }
      },
    }),
    openledger_settlementStatus: method({
      summary: 'Outputs proposed and settled on L1 as this validator sees them, and its alarms',
      params: [],
      result: { type: 'object' },
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

function keyOf(role: string, hex: string): Uint8Array {
  try {
    return parsePrivateKey(hex)
  } catch (error) {
    throw userError('options', `the ${role}'s key cannot be used: ${messageOf(error)}`)
  }
}
