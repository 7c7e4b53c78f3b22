/** Plain transactions against the general reader: what the fast one accepts, the other accepts and reads the same. */
import fc from 'fast-check'
import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import { TxError } from '../../../node/chain/errors.ts'
import { decodeRlp, encodeRlp, integer, type RlpItem } from '../../../node/chain/rlp.ts'
import { rollupRules } from '../../../node/chain/rules.ts'
import { decodeGeneral, decodeTx, type SignedTx } from '../../../node/chain/tx.ts'
import { readPlainTx } from '../../../node/chain/tx-plain.ts'
import { alice, bob, CHAIN_ID, signedTx } from '../../support/chain.ts'

/** Everything but how it was read. */
function shown(tx: SignedTx): Record<string, unknown> {
  const { inner, isPlain: _, ...fields } = tx
  const { signature: __, ...rest } = fields as typeof fields & { signature?: unknown }
  return {
    ...rest,
    serialized: inner.serialize(),
    innerSender: inner.getSenderAddress().toString(),
  }
}

function general(raw: Uint8Array): SignedTx | null {
  try {
    return decodeGeneral(rollupRules(CHAIN_ID), raw.slice())
  } catch (error) {
    if (error instanceof TxError) return null
    throw error
  }
}

const transaction = fc.record({
  type: fc.constantFrom(0 as const, 1 as const, 2 as const),
  nonce: fc.bigInt(0n, 2n ** 64n - 2n),
  value: fc.oneof(fc.constant(0n), fc.bigInt(0n, 2n ** 256n - 1n)),
  gasLimit: fc.bigInt(0n, 2n ** 64n - 1n),
  maxFeePerGas: fc.bigInt(1_000n, 2n ** 100n),
  data: fc.uint8Array({ maxLength: 90 }),
  to: fc.constantFrom(bob.address, `0x${'00'.repeat(20)}` as Hex, null),
})

t.test('valid transactions are read alike, and all to an address are plain', async (t) => {
  fc.assert(
    fc.property(transaction, (fields) => {
      const raw = signedTx(alice, fields)
      const tx = decodeTx(raw, CHAIN_ID)
      t.equal(tx.isPlain, fields.to !== null)
      t.same(shown(tx), shown(decodeGeneral(rollupRules(CHAIN_ID), raw.slice())))
    }),
    { numRuns: 120 },
  )
})

t.test(
  'a damaged transaction is not plain unless it is still valid, and then reads alike',
  async (t) => {
    const odd = fc.constantFrom(
      new Uint8Array(0),
      Uint8Array.of(0),
      Uint8Array.of(1),
      Uint8Array.of(27),
      Uint8Array.of(0, 1),
      integer(2n ** 64n - 1n),
      integer(2n ** 255n),
      new Uint8Array(33).fill(1),
      [] as RlpItem,
      [[new Uint8Array(20), []]] as RlpItem,
    )
    const base = [0, 1, 2].map((type) => signedTx(alice, { type: type as 0 | 1 | 2, nonce: 7n }))
    fc.assert(
      fc.property(
        fc.nat(2),
        fc.nat(12),
        odd,
        fc.boolean(),
        fc.nat(),
        (which, at, item, flip, bit) => {
          const raw = (base[which] as Uint8Array).slice()
          let damaged = raw
          if (flip) {
            const place = bit % (raw.length * 8)
            damaged[place >> 3] = (raw[place >> 3] as number) ^ (1 << (place & 7))
          } else {
            const body = which === 0 ? raw : raw.subarray(1)
            const fields = decodeRlp(body) as RlpItem[]
            fields[at % fields.length] = item
            damaged = Uint8Array.of(...(which === 0 ? [] : [which]), ...encodeRlp(fields))
          }
          const plain = readPlainTx(damaged, CHAIN_ID)
          const other = general(damaged)
          if (!other) {
            // Whatever is left for the general reader to refuse, nobody takes it.
            t.throws(() => decodeTx(damaged, CHAIN_ID), TxError)
          } else {
            t.same(shown(decodeTx(damaged, CHAIN_ID)), shown(other))
            if (plain) t.equal(plain.hash, other.hash)
          }
        },
      ),
      { numRuns: 400 },
    )
  },
)

t.test('another chain’s transaction is not plain here', async (t) => {
  for (const type of [0, 1, 2] as const) {
    t.equal(readPlainTx(signedTx(alice, { type, chainId: 1 }), CHAIN_ID), null)
  }
})
