/**
 * Contracts that people use for the same things elsewhere, as packages carry them, constructed on our own chain beside
 * ours: WETH9, Permit2, a Safe, and a Governor with ERC20Votes of OpenZeppelin's parts alone.
 */

import { createRequire } from 'node:module'
import { type Abi, encodeAbiParameters, encodeFunctionData, parseAbi } from 'viem'
import { PREINSTALLS } from '../../../genesis/preinstalls.ts'
import { type Hex, ZERO_ADDRESS } from '../../../node/base/bytes.ts'
import type { GenesisAlloc } from '../../../node/chain/genesis.ts'
import type { Wallet } from '../../support/chain.ts'
import { type Contract, economyConfig } from '../../support/economy.ts'
import { accountOf } from '../../support/open.ts'
import { PERMIT_TRANSFER_FROM } from '../../support/signed-payment.ts'
import { compileFile } from '../../support/solidity.ts'

const require = createRequire(import.meta.url)
const artefact = (path: string): { abi: Abi; bytecode: Hex } => require(path)
const at = (n: number): Hex => `0x${'fee'.padStart(39, '0')}${n}`

const WETH9 = artefact('canonical-weth/build/contracts/WETH9.json')
const TIMELOCK = artefact('@openzeppelin/contracts/build/contracts/TimelockController.json')
const [VOTES, GOVERNOR] = compileFile(new URL('./Governance.sol', import.meta.url), [
  'PlainVotes',
  'PlainGovernor',
]) as [ReturnType<typeof artefact>, ReturnType<typeof artefact>]

const preinstalled = (name: string): Hex =>
  PREINSTALLS.find((one) => one.name === name)?.address as Hex

export const weth: Contract = { address: at(1), abi: WETH9.abi }
export const plainVotes: Contract = { address: at(2), abi: VOTES.abi }
const timelock: Contract = { address: at(3), abi: TIMELOCK.abi }
export const plainGovernor: Contract = { address: at(4), abi: GOVERNOR.abi }
export const permit2: Contract = {
  address: preinstalled('permit2'),
  abi: parseAbi([
    'function permitTransferFrom(((address token, uint256 amount) permitted, uint256 nonce, uint256 deadline) permit, (address to, uint256 requestedAmount) transferDetails, address owner, bytes signature)',
  ]),
}
export const safes: Contract = {
  address: preinstalled('safeProxyFactoryV150'),
  abi: parseAbi(['function createProxyWithNonce(address, bytes, uint256) returns (address)']),
}

/** Seconds of the plain timelock, as ours has in tests. */
const DELAY = 40n

/** In the order in which they may be constructed. */
export const PEERS: GenesisAlloc = {
  [weth.address]: { creationCode: WETH9.bytecode, nonce: 1n },
  [plainVotes.address]: made(VOTES.bytecode, ['address'], [weth.address]),
  [timelock.address]: made(
    TIMELOCK.bytecode,
    ['uint256', 'address[]', 'address[]', 'address'],
    [DELAY, [plainGovernor.address], [ZERO_ADDRESS], ZERO_ADDRESS],
  ),
  [plainGovernor.address]: made(
    GOVERNOR.bytecode,
    ['address', 'address'],
    [plainVotes.address, timelock.address],
  ),
}

function made(code: Hex, types: readonly string[], args: readonly unknown[]) {
  const data = encodeAbiParameters(
    types.map((type) => ({ type })),
    args,
  )
  return { creationCode: `${code}${data.slice(2)}` as Hex, nonce: 1n }
}

/** A Safe of one owner: what `createProxyWithNonce` takes. */
export function safeOf(owner: Hex): unknown[] {
  const abi = parseAbi([
    'function setup(address[], uint256, address, bytes, address, address, uint256, address)',
  ])
  const handler = preinstalled('safeCompatibilityFallbackHandlerV150')
  const none = [ZERO_ADDRESS, 0n, ZERO_ADDRESS] as const
  const args = [[owner], 1n, ZERO_ADDRESS, '0x', handler, ...none] as const
  return [preinstalled('safeV150'), encodeFunctionData({ abi, args }), 0n]
}

/** A payment that whoever submits it may take, signed for Permit2: what `permitTransferFrom` takes. */
export async function permitted(
  from: Wallet,
  spender: Hex,
  { to, amount, deadline }: { to: Hex; amount: bigint; deadline: bigint },
): Promise<unknown[]> {
  const permit = { permitted: { token: weth.address, amount }, nonce: 0n, deadline }
  const signature = await accountOf(from).signTypedData({
    domain: {
      name: 'Permit2',
      chainId: economyConfig.l2ChainId,
      verifyingContract: permit2.address,
    },
    primaryType: 'PermitTransferFrom',
    types: PERMIT_TRANSFER_FROM,
    message: { ...permit, spender },
  })
  return [permit, { to, requestedAmount: amount }, from.address, signature]
}
