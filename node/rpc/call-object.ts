/**
 * The transaction object of `eth_call` and its relatives, and the overrides that go with it: JSON in, the chain
 * room's `CallRequest`, `StateOverrides` and `BlockOverrides` out. Names are those of the execution-apis; what
 * geth calls differently (`time`, `feeRecipient`, `baseFeePerGas`) is accepted as geth does.
 */
import { type Hex, toHex } from '../base/bytes.ts'
import type { AccessList, CallRequest } from '../chain/call.ts'
import type { AccountOverride, BlockOverrides, StateOverrides } from '../chain/overrides.ts'
import type { ValueType } from './method.ts'
import { address, BadValue, bytes, hash, list, uint64, uint256 } from './params.ts'
import { mapOf, record } from './record.ts'

const ACCESS_LIST_MAX = 10_000
const AUTHORIZATIONS_MAX = 1_000
const BLOBS_MAX = 64
const ACCOUNTS_MAX = 10_000
const SLOTS_MAX = 100_000
const WITHDRAWALS_MAX = 1_000

const accessItem = record(
  'access list entry',
  { address, storageKeys: list(hash, ACCESS_LIST_MAX) },
  { required: ['address'] },
)

export const accessList: ValueType<AccessList> = {
  schema: list(accessItem, ACCESS_LIST_MAX).schema,
  parse: (value) =>
    list(accessItem, ACCESS_LIST_MAX)
      .parse(value)
      .map((entry) => ({ address: entry.address as Hex, storageKeys: entry.storageKeys ?? [] })),
}

const authorization = record(
  'EIP-7702 authorization',
  {
    chainId: uint256,
    address,
    nonce: uint64,
    yParity: uint256,
    v: uint256,
    r: uint256,
    s: uint256,
  },
  { required: ['chainId', 'address', 'nonce', 'r', 's'] },
)

/** Field by field; what one says about another is checked below. */
const fields = record('transaction call object', {
  type: uint256,
  from: address,
  to: address,
  data: bytes,
  input: bytes,
  value: uint256,
  gas: uint64,
  gasPrice: uint256,
  maxFeePerGas: uint256,
  maxPriorityFeePerGas: uint256,
  maxFeePerBlobGas: uint256,
  nonce: uint64,
  chainId: uint256,
  accessList,
  blobVersionedHashes: list(hash, BLOBS_MAX),
  authorizationList: list(authorization, AUTHORIZATIONS_MAX),
})

export type CallObject = CallRequest & {
  readonly chainId?: bigint
  readonly nonce?: bigint
  readonly type?: bigint
}

/** Unknown fields are ignored, as geth does. */
export const call: ValueType<CallObject> = {
  schema: fields.schema,
  parse: (value) => {
    const { data, input, to, authorizationList, ...rest } = fields.parse(value)
    if (data && input && toHex(data) !== toHex(input)) {
      throw new BadValue('data and input are both given and differ')
    }
    const { gasPrice, maxFeePerGas: cap, maxPriorityFeePerGas: tip } = rest
    if (gasPrice !== undefined && (cap !== undefined || tip !== undefined)) {
      throw new BadValue('gasPrice and maxFeePerGas or maxPriorityFeePerGas are both given')
    }
    if (cap !== undefined && tip !== undefined && tip > cap) {
      throw new BadValue(`maxPriorityFeePerGas ${tip} is higher than maxFeePerGas ${cap}`)
    }
    if (rest.blobVersionedHashes?.length === 0) {
      throw new BadValue(
        'blobVersionedHashes is empty: a blob transaction (type 3) names at least one',
      )
    }
    if (rest.blobVersionedHashes && !to)
      throw new BadValue('a blob transaction cannot create a contract')
    const body = input ?? data
    return {
      ...rest,
      to: to ?? null,
      ...(body ? { data: body } : {}),
      ...(authorizationList ? { authorizationList: authorizationList.map(authorizationOf) } : {}),
    }
  },
}

type Authorization = NonNullable<CallRequest['authorizationList']>[number]

function authorizationOf(a: ReturnType<(typeof authorization)['parse']>): Authorization {
  const parity = a.yParity ?? a.v
  if (parity === undefined) throw new BadValue('.authorizationList an entry has no yParity')
  return {
    chainId: a.chainId as bigint,
    address: a.address as Hex,
    nonce: a.nonce as bigint,
    yParity: Number(parity),
    r: a.r as bigint,
    s: a.s as bigint,
  }
}

const slots = mapOf(hash, hash, SLOTS_MAX)

const account: ValueType<AccountOverride> = record('account override', {
  balance: uint256,
  nonce: uint64,
  code: bytes,
  state: slots,
  stateDiff: slots,
  movePrecompileToAddress: address,
}) as ValueType<AccountOverride>

export const stateOverrides: ValueType<StateOverrides> = {
  schema: mapOf(address, account, ACCOUNTS_MAX).schema,
  parse: (value) => {
    const accounts = mapOf(address, account, ACCOUNTS_MAX).parse(value)
    return new Map([...accounts].map(([at, one]) => [at, accountOverride(one)]))
  },
}

function accountOverride(
  given: AccountOverride & { movePrecompileToAddress?: Hex },
): AccountOverride {
  const { movePrecompileToAddress, ...rest } = given
  if (rest.state && rest.stateDiff) throw new BadValue("both 'state' and 'stateDiff' are given")
  return movePrecompileToAddress ? { ...rest, movePrecompileTo: movePrecompileToAddress } : rest
}

const withdrawal = record(
  'withdrawal',
  { index: uint64, validatorIndex: uint64, address, amount: uint64 },
  { required: ['index', 'validatorIndex', 'address', 'amount'] },
)

const blockFields = record('block overrides', {
  number: uint256,
  difficulty: uint256,
  time: uint64,
  timestamp: uint64,
  gasLimit: uint64,
  feeRecipient: address,
  coinbase: address,
  prevRandao: hash,
  random: hash,
  baseFeePerGas: uint256,
  baseFee: uint256,
  blobBaseFee: uint256,
  beaconRoot: hash,
  withdrawals: list(withdrawal, WITHDRAWALS_MAX),
})

export const blockOverrides: ValueType<BlockOverrides> = {
  schema: blockFields.schema,
  parse: (value) => {
    const f = blockFields.parse(value)
    const entries: readonly (readonly [keyof BlockOverrides, unknown])[] = [
      ['number', f.number],
      ['difficulty', f.difficulty],
      ['timestamp', f.time ?? f.timestamp],
      ['gasLimit', f.gasLimit],
      ['coinbase', f.feeRecipient ?? f.coinbase],
      ['mixHash', f.prevRandao ?? f.random],
      ['baseFeePerGas', f.baseFeePerGas ?? f.baseFee],
      ['blobBaseFee', f.blobBaseFee],
      ['parentBeaconBlockRoot', f.beaconRoot],
      ['withdrawals', f.withdrawals],
    ]
    return Object.fromEntries(entries.filter(([, field]) => field !== undefined)) as BlockOverrides
  },
}

/** Calls have no block of their own: what only a simulated block can have is refused. */
export const callBlockOverrides: ValueType<BlockOverrides> = {
  schema: blockOverrides.schema,
  parse: (value) => {
    const overrides = blockOverrides.parse(value)
    for (const [field, name] of [
      ['parentBeaconBlockRoot', 'beaconRoot'],
      ['withdrawals', 'withdrawals'],
    ] as const) {
      if (overrides[field]) throw new BadValue(`.${name} works in eth_simulateV1 only`)
    }
    return overrides
  },
}
