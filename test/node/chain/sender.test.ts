/** Senders recovered on threads: the same answers and refusals as without them, in the order asked. */
import t from 'tap'
import type { RecoverRequest } from '../../../node/base/crypto.ts'
import { TxError } from '../../../node/chain/errors.ts'
import { decodeRlp, encodeRlp, integer, type RlpItem } from '../../../node/chain/rlp.ts'
import { addressOf, recoverAside, recoverSender } from '../../../node/chain/sender.ts'
import { decodeTx, decodeTxAside, txHash } from '../../../node/chain/tx.ts'
import { readPlainTx } from '../../../node/chain/tx-plain.ts'
import { alice, bob, CHAIN_ID, signedTx } from '../../support/chain.ts'

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** A type 2 transaction with other signature fields. */
function withSignature(raw: Uint8Array, change: (v: bigint, s: bigint) => [bigint, bigint]) {
  const fields = decodeRlp(raw.subarray(1)) as RlpItem[]
  const at = (i: number) => BigInt(`0x${Buffer.from(fields[i] as Uint8Array).toString('hex') || 0}`)
  const [v, s] = change(at(9), at(11))
  const changed = [...fields.slice(0, 9), integer(v), fields[10] as RlpItem, integer(s)]
  return Uint8Array.of(2, ...encodeRlp(changed))
}

t.test('a thread finds the sender of every type', async (t) => {
  for (const type of [0, 1, 2] as const) {
    const raw = signedTx(alice, { type, nonce: 900n })
    t.equal((await decodeTxAside(raw, CHAIN_ID)).sender, alice.address)
    t.strictSame(await decodeTxAside(raw, CHAIN_ID), decodeTx(raw, CHAIN_ID))
  }
})

t.test('what the thread found is what the next recovery uses', async (t) => {
  const ours = decodeTx(signedTx(alice, { nonce: 901n }), CHAIN_ID)
  // A hash that is not this transaction's: only the thread can have put it into the cache.
  const hash = txHash(Uint8Array.of(1))
  await recoverAside(signatureOf(ours.raw), hash)
  const theirs = signatureOf(signedTx(bob, { nonce: 901n }))
  t.equal(addressOf(recoverSender(theirs, hash) as Uint8Array), alice.address)
})

t.test('signatures that are none are refused with the same words as without threads', async (t) => {
  const raw = signedTx(alice, { type: 2, nonce: 902n })
  const bad = [
    withSignature(raw, (v, s) => [1n - v, CURVE_ORDER - s]), // valid but for EIP-2
    withSignature(raw, (v) => [v, 0n]),
    withSignature(raw, (v) => [v, CURVE_ORDER]),
    withSignature(raw, (_, s) => [27n, s]),
  ]
  for (const tx of bad) {
    const plain = await refusal(async () => decodeTx(tx, CHAIN_ID))
    t.match(plain, { message: String })
    t.strictSame(await refusal(() => decodeTxAside(tx, CHAIN_ID)), plain)
  }
})

t.test('answers come in the order of the questions, cheap ones too', async (t) => {
  const order: number[] = []
  const raws = Array.from({ length: 12 }, (_, i) => signedTx(bob, { nonce: 910n + BigInt(i) }))
  // The ninth is known already: no thread is asked.
  decodeTx(raws[8] as Uint8Array, CHAIN_ID)
  await Promise.all(
    raws.map(async (raw, i) => {
      await decodeTxAside(raw, CHAIN_ID)
      order.push(i)
    }),
  )
  t.strictSame(
    order,
    raws.map((_, i) => i),
  )
})

function signatureOf(raw: Uint8Array): RecoverRequest {
  const plain = readPlainTx(raw, CHAIN_ID)
  if (!plain) throw new Error('not plain')
  return plain.signature
}

async function refusal(
  run: () => Promise<unknown>,
): Promise<{ code: string; message: string } | null> {
  try {
    await run()
    return null
  } catch (error) {
    if (!(error instanceof TxError)) throw error
    return { code: error.code, message: error.message }
  }
}
