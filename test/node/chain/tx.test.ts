/** Signed transactions: decoding, and every reason to refuse one, with the message a user sees. */
import fc from 'fast-check'
import t from 'tap'
import { EMPTY_ACCOUNT } from '../../../node/chain/account.ts'
import { TxError, type TxErrorCode } from '../../../node/chain/errors.ts'
import { l1AttributesDeposit } from '../../../node/chain/l1-attributes.ts'
import { decodeRlp, encodeRlp, type RlpItem } from '../../../node/chain/rlp.ts'
import { decodeTx, effectiveGasPrice, refusalOf, type TxContext } from '../../../node/chain/tx.ts'
import {
  alice,
  bob,
  CHAIN_ID,
  ETHER,
  l1AttributesAt,
  signedTx,
  type TxFields,
} from '../../support/chain.ts'

function refusedWith(run: () => unknown): TxErrorCode | 'accepted' {
  try {
    run()
    return 'accepted'
  } catch (error) {
    if (error instanceof TxError) return error.code
    throw error
  }
}

t.test('decodes types 0, 1 and 2 with sender, fees and least gas', async (t) => {
  for (const type of [0, 1, 2] as const) {
    const tx = decodeTx(signedTx(alice, { type, nonce: 4n, value: 9n }), CHAIN_ID)
    t.match(tx, {
      type,
      sender: alice.address,
      nonce: 4n,
      value: 9n,
      to: bob.address,
      gasFloor: 21_000n,
    })
  }
  const creation = decodeTx(
    signedTx(alice, { to: null, data: new Uint8Array(32), gasLimit: 90_000n }),
    CHAIN_ID,
  )
  t.equal(creation.to, null)
  t.equal(creation.gasFloor, 21_000n + 32_000n + 4n * 32n + 2n)
})

t.test('a second decoding finds the sender it recovered first', async (t) => {
  const raw = signedTx(bob, { nonce: 77n })
  t.equal(decodeTx(raw, CHAIN_ID).sender, decodeTx(raw.slice(), CHAIN_ID).sender)
  t.equal(decodeTx(raw, CHAIN_ID).inner.getSenderAddress().toString(), bob.address)
})

t.test('a wrong chain id is refused and both ids are named', async (t) => {
  for (const type of [0, 1, 2] as const) {
    t.throws(() => decodeTx(signedTx(alice, { chainId: 1, type }), CHAIN_ID), {
      code: 'wrong-chain-id',
      message: `wrong chain id: the transaction is for 1, this chain is ${CHAIN_ID}`,
    })
  }
})

t.test('types that are not for senders are refused by name', async (t) => {
  t.throws(() => decodeTx(Uint8Array.of(3, 0xc0), CHAIN_ID), {
    code: 'type-not-supported',
    message: /blob transactions/,
  })
  t.throws(() => decodeTx(l1AttributesDeposit(l1AttributesAt(0n)), CHAIN_ID), {
    code: 'deposit-not-allowed',
  })
  t.throws(() => decodeTx(Uint8Array.of(5, 0xc0), CHAIN_ID), { code: 'type-not-supported' })
  t.throws(() => decodeTx(new Uint8Array(0), CHAIN_ID), { code: 'malformed' })
})

/** The signed fields with one changed: the signature no longer fits, or the encoding is not canonical. */
function tampered(change: (fields: RlpItem[]) => void): Uint8Array {
  const raw = signedTx(alice)
  const fields = decodeRlp(raw.subarray(1)) as RlpItem[]
  change(fields)
  return Uint8Array.of(2, ...encodeRlp(fields))
}

t.test('signatures that cannot be are refused', async (t) => {
  const zeroR = tampered((fields) => {
    fields[10] = new Uint8Array(0)
  })
  t.equal(
    refusedWith(() => decodeTx(zeroR, CHAIN_ID)),
    'bad-signature',
  )
  const highS = tampered((fields) => {
    fields[11] = new Uint8Array(32).fill(0xf0)
  })
  t.equal(
    refusedWith(() => decodeTx(highS, CHAIN_ID)),
    'malformed',
  )
  const parity = tampered((fields) => {
    fields[9] = Uint8Array.of(7)
  })
  t.not(
    refusedWith(() => decodeTx(parity, CHAIN_ID)),
    'accepted',
  )
})

t.test('one transaction has one encoding', async (t) => {
  const leadingZero = tampered((fields) => {
    fields[1] = Uint8Array.of(0)
  })
  t.equal(
    refusedWith(() => decodeTx(leadingZero, CHAIN_ID)),
    'malformed',
  )
  t.equal(
    refusedWith(() => decodeTx(Uint8Array.of(...signedTx(alice), 0), CHAIN_ID)),
    'malformed',
  )
  const shortTo = tampered((fields) => {
    fields[5] = new Uint8Array(19)
  })
  t.equal(
    refusedWith(() => decodeTx(shortTo, CHAIN_ID)),
    'malformed',
  )
})

t.test('initcode above 49,152 bytes is refused', async (t) => {
  const fields = decodeRlp(signedTx(alice).subarray(1)) as RlpItem[]
  fields[5] = new Uint8Array(0)
  fields[7] = new Uint8Array(49_153)
  t.throws(() => decodeTx(Uint8Array.of(2, ...encodeRlp(fields)), CHAIN_ID), {
    code: 'initcode-size',
  })
})

t.test('decoding any bytes fails with a TxError and nothing else', async () => {
  const seed = signedTx(alice, { data: new Uint8Array(20).fill(3), gasLimit: 60_000n })
  fc.assert(
    fc.property(fc.nat(seed.length - 1), fc.nat(255), (at, value) => {
      const bytes = seed.slice()
      bytes[at] = value
      refusedWith(() => decodeTx(bytes, CHAIN_ID))
      refusedWith(() => decodeTx(seed.subarray(0, at), CHAIN_ID))
    }),
    { numRuns: 150 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      refusedWith(() => decodeTx(bytes, CHAIN_ID))
    }),
  )
})

const rich: TxContext = {
  account: { ...EMPTY_ACCOUNT, nonce: 5n, balance: ETHER },
  code: () => new Uint8Array(0),
  baseFee: 1_000n,
  gasLeft: 1_000_000n,
  l1Fee: 7n,
}

function refusal(fields: TxFields, context: Partial<TxContext> = {}): TxErrorCode | undefined {
  const tx = decodeTx(signedTx(alice, { nonce: 5n, ...fields }), CHAIN_ID)
  return refusalOf(tx, { ...rich, ...context })?.code
}

t.test(
  'a transaction runs when nothing stands against it, and each thing that does has its code',
  async (t) => {
    t.equal(refusal({}), undefined)
    t.equal(refusal({ nonce: 4n }), 'nonce-too-low')
    t.equal(refusal({ nonce: 6n }), 'nonce-too-high')
    t.equal(refusal({ gasLimit: 20_999n }), 'intrinsic-gas')
    t.equal(
      refusal({ data: new Uint8Array(100).fill(1), gasLimit: 22_600n }),
      'intrinsic-gas',
      'EIP-7623 floor',
    )
    t.equal(refusal({ gasLimit: 1_000_001n }), 'gas-limit-over-block')
    t.equal(refusal({ maxFeePerGas: 999n, maxPriorityFeePerGas: 0n }), 'fee-below-base-fee')
    const contract = { ...EMPTY_ACCOUNT, nonce: 5n, balance: ETHER, codeHash: new Uint8Array(32) }
    t.equal(refusal({}, { account: contract, code: () => Uint8Array.of(0) }), 'sender-not-eoa')
    const delegated = Uint8Array.of(0xef, 1, 0, ...new Uint8Array(20))
    t.equal(refusal({}, { account: contract, code: () => delegated }), undefined, 'EIP-7702 sender')
    t.equal(refusal({ nonce: 0n }, { account: null }), 'insufficient-funds')
  },
)

t.test('funds must cover gas at the cap, value and the L1 fee, to the wei', async (t) => {
  const fields = { maxFeePerGas: 2_000n, value: 10n }
  const exact = 21_000n * 2_000n + 10n + 7n
  const having = (balance: bigint) => ({ account: { ...EMPTY_ACCOUNT, nonce: 5n, balance } })
  t.equal(refusal(fields, having(exact)), undefined)
  t.equal(refusal(fields, having(exact - 1n)), 'insufficient-funds')
  const tx = decodeTx(signedTx(alice, { nonce: 5n, ...fields }), CHAIN_ID)
  t.equal(
    refusalOf(tx, { ...rich, ...having(1n) })?.message,
    `insufficient funds: have 1 wei, want ${exact} wei (of it 7 wei for L1 data)`,
  )
})

t.test('the price paid is base fee and tip, capped', async (t) => {
  const tx = decodeTx(signedTx(alice, { maxFeePerGas: 100n, maxPriorityFeePerGas: 30n }), CHAIN_ID)
  t.equal(effectiveGasPrice(tx, 50n), 80n)
  t.equal(effectiveGasPrice(tx, 90n), 100n)
})
