/** `openledger deploy`: a network of one's own, from a plan: contracts on an L1, and the folder that nodes are made from. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { formatEther } from 'viem'
import { decodeChainConfig, encodeChainConfig } from '../../genesis/chain.ts'
import { fromHex, ZERO_ADDRESS, ZERO_HASH } from '../../node/base/bytes.ts'
import { messageOf, userError } from '../../node/base/errors.ts'
import { addressOfKey } from '../../node/base/keys.ts'
import type { Command } from '../cli/command.ts'
import { keyOf } from '../cli/person.ts'
import { JSON_FLAG, show } from '../cli/result.ts'
import { rpcTo } from '../cli/rpc.ts'
import { deployL1, type L1Deployment } from '../deploy-l1.ts'
import { type DeployPlan, readDeployPlan, withdrawalSeconds } from '../deploy-plan.ts'
import { batchInboxOf, chainConfigOn } from '../network.ts'
import { VESTING_SCHEDULE } from '../vesting.ts'

export const deploy: Command = {
  name: 'deploy',
  summary:
    'Puts the contracts of a new network on an L1, owned by its governance, and writes its configuration',
  args: '<plan.json>',
  flags: {
    out: { value: 'DIR', help: 'folder for rollup.json and network.json', fallback: 'network' },
    'dry-run': { help: 'read the plan and say what it means; send nothing' },
    'key-file': { value: 'FILE', help: 'hex key (mode 0600) of the deployer; else OPENLEDGER_KEY' },
    ...JSON_FLAG,
  },
  options: ['L1'],
  notes: `The plan says sequencer, batcher, validators, who owns the L1 contracts (governance unless said otherwise) and whose
OPEN vests; scripts/ops/README.md has one. Nodes are then made by 'openledger init --network DIR'.`,
  run: async (call) => {
    const [path = ''] = call.args
    const plan = readPlan(path)
    await rehearse(plan)
    if (call.switches.has('dry-run')) {
      show(call, plan, describe(plan))
      return undefined
    }
    const dir = resolve(call.flags.out as string)
    if (existsSync(join(dir, 'rollup.json')))
      throw userError('options', `${dir} has a network already: choose another --out`)
    const { l1Rpc, l1Beacon } = call.configure().options
    const [rpcUrl = ''] = l1Rpc
    const deployerKey = keyOf(call)
    const rpc = rpcTo(rpcUrl)
    const l1ChainId = Number(await rpc<string>('eth_chainId'))
    if (l1ChainId === plan.l2ChainId)
      throw userError('deploy-plan', `l2ChainId is ${l1ChainId}, which is the L1's own`)
    const deployer = addressOfKey(fromHex(deployerKey))
    if (BigInt(await rpc<string>('eth_getBalance', deployer, 'latest')) === 0n)
      throw userError('options', `the deployer ${deployer} has no ether on the L1 at ${rpcUrl}`)
    // What cannot be written down must not be sent.
    mkdirSync(dir, { recursive: true })
    const deployed = await deployL1({
      rpcUrl,
      deployerKey,
      settlement: plan.settlement,
      system: { batchInbox: batchInboxOf(plan.l2ChainId), values: plan.system },
      ...(plan.holder && { holder: plan.holder }),
      ...(plan.vesting && { vesting: plan.vesting }),
    })
    const config = await chainConfigOn(deployed, plan)
    writeFileSync(join(dir, 'rollup.json'), encodeChainConfig(config), { flag: 'wx' })
    const network = { l1Rpc, ...(l1Beacon.length > 0 && { l1Beacon }) }
    writeFileSync(join(dir, 'network.json'), `${JSON.stringify(network, null, 2)}\n`)
    show(call, { dir, l1Contracts: config.l1Contracts, genesis: config.genesis.l2.hash }, [
      ...describe(plan),
      '',
      ...Object.entries(config.l1Contracts).map(([name, at]) => `${name.padEnd(24)} ${at}`),
      `genesis of the L2         ${config.genesis.l2.hash}`,
      '',
      `${plan.settlement.validators.length} bonds of ${formatEther(plan.settlement.validatorBond)} OPEN are still to come: AttestationVerifier.bond(validator), by whoever has OPEN on L1`,
      `next: openledger init --network ${dir} --role sequencer --data-dir DIR`,
      '      openledger doctor --data-dir DIR',
    ])
    return undefined
  },
}

function readPlan(path: string): DeployPlan {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw userError('options', `cannot read the plan ${path}: ${messageOf(error)}`)
  }
  return readDeployPlan(text)
}

const NOWHERE: L1Deployment = {
  l1ChainId: 1,
  token: ZERO_ADDRESS,
  portal: ZERO_ADDRESS,
  disputeGameFactory: ZERO_ADDRESS,
  anchorStateRegistry: ZERO_ADDRESS,
  attestationVerifier: ZERO_ADDRESS,
  outputGame: ZERO_ADDRESS,
  genesisL1: { hash: ZERO_HASH, number: 0n, timestamp: 1n },
}

/** The plan's L2, on an L1 that is not there: what its genesis or its nodes would refuse is refused before anything is sent. */
async function rehearse(plan: DeployPlan): Promise<void> {
  try {
    decodeChainConfig(encodeChainConfig(await chainConfigOn(NOWHERE, plan)))
  } catch (error) {
    throw userError('deploy-plan', `no chain comes of it: ${messageOf(error)}`)
  }
}

/** What a person should look at before it is for good. */
function describe({
  l2ChainId,
  system,
  settlement,
  economy,
  vesting,
  holder,
}: DeployPlan): string[] {
  const { threshold, validators, owner } = settlement
  const { exitWindow, quorumPercent, votingPeriod } = economy.governance
  const hours = (seconds: bigint): string => `${Number(seconds) / 3_600} h`
  return [
    `chain         ${l2ChainId}; sequencer ${system.unsafeBlockSigner}, batcher ${system.batcher}`,
    `outputs       ${threshold} of ${validators.length} validators; a withdrawal takes ${hours(withdrawalSeconds(settlement))} at most`,
    `L1 contracts  owned by ${owner === 'governance' ? 'the L2’s governance (GovernanceRelay, OpenTimelock)' : owner}`,
    `governance    quorum ${quorumPercent} % of what circulates, ${hours(votingPeriod)} to vote, ${hours(exitWindow)} to leave before anything changes`,
    ...(vesting
      ? [
          `vesting       from ${new Date(Number(vesting.start) * 1_000).toISOString()}, ${vesting.allocations.length} allocations`,
          ...vesting.allocations.map(({ part, beneficiary, wei }) => {
            const { cliff, months } = VESTING_SCHEDULE[part]
            const how = months === 0n ? 'at once' : `over ${months} months after ${cliff}`
            return `  ${part.padEnd(10)} ${beneficiary} ${formatEther(wei)} OPEN ${how}`
          }),
        ]
      : [`supply        all of it to ${holder ?? 'the deployer'}, nothing vests`]),
  ]
}
