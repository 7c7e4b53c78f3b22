import t from 'tap'
import { parseTransaction, recoverTransactionAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { fromHex, type Hex, toHex } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import { remoteSigner, type SignerProtocol } from '../../../node/keys/remote.ts'
import { signTransaction, signTypedData, type TypedData } from '../../../node/keys/sign.ts'
import { localSigner, recoverAddress } from '../../../node/keys/signer.ts'
import { signL1Transaction } from '../../../node/l1/signing.ts'
import { blockPreimage, recoverBlockSigner } from '../../../node/p2p/signature.ts'
import { startSigner } from '../../support/signer.ts'

const KEY: Hex = `0x${'4b'.repeat(32)}`
const ADDRESS = addressOfKey(fromHex(KEY))
const OTHER: Hex = `0x${'12'.repeat(20)}`
const PROTOCOLS: readonly SignerProtocol[] = ['web3signer', 'op-signer']

const TYPED: TypedData = {
  domain: { name: 'OpenLedger', version: '1', chainId: 901, verifyingContract: OTHER },
  types: { Voucher: [{ name: 'cumulative', type: 'uint256' }] },
  primaryType: 'Voucher',
  message: { cumulative: 5n },
}

const call = {
  chainId: 901,
  nonce: 7n,
  to: OTHER,
  fees: { maxFeePerGas: 9n, maxPriorityFeePerGas: 2n, maxFeePerBlobGas: 3n },
} as const

const service = await startSigner(KEY)
t.teardown(service.stop)

for (const protocol of PROTOCOLS) {
  const signer = remoteSigner({ url: service.url, address: ADDRESS, protocol })

  t.test(
    `${protocol} signs batches in calldata and in blobs as the key itself would`,
    async (t) => {
      await signer.check()
      const data = new Uint8Array([0, 1, 2, 3])
      const calldata = await signL1Transaction({ ...call, kind: 'calldata', data }, signer)
      const local = await signL1Transaction(
        { ...call, kind: 'calldata', data },
        localSigner(fromHex(KEY)),
      )
      t.equal(toHex(calldata.raw), toHex(local.raw), 'deterministic signatures: the same bytes')
      const raw = toHex(calldata.raw) as `0x02${string}`
      t.equal(
        (await recoverTransactionAddress({ serializedTransaction: raw })).toLowerCase(),
        ADDRESS,
      )
      const blob = new Uint8Array(131_072)
      const blobs = await signL1Transaction(
        { ...call, kind: 'blobs', blobs: [blob], proofs: 'cells' },
        signer,
      )
      t.equal(blobs.versionedHashes.length, 1)
      t.equal(parseTransaction(toHex(calldata.raw)).nonce, 7)
    },
  )

  t.test(`${protocol} signs blocks`, async (t) => {
    const block = new Uint8Array([1, 2, 3])
    const signature = await signer.sign('block', blockPreimage(901n, block))
    t.equal(recoverBlockSigner(901n, block, signature), ADDRESS)
  })

  t.test(`${protocol} with another key is caught`, async (t) => {
    const wrong = remoteSigner({ url: service.url, address: OTHER, protocol })
    const sign = wrong.sign('block', blockPreimage(901n, new Uint8Array(1)))
    await t.rejects(sign, /holds no key of 0x1212|unexpected from address/)
  })

  t.test(
    `${protocol} that is down is an error to try again, without credentials in it`,
    async (t) => {
      const url = 'http://user:hunter2hunter2@127.0.0.1:1'
      const down = remoteSigner({ url, address: ADDRESS, protocol })
      const error = await down.check().catch((reason) => reason)
      t.match(error, { code: 'signer-unreachable', severity: 'retry', message: /127.0.0.1:1/ })
      t.notMatch(error.message, /hunter2/)
    },
  )
}

t.test('EIP-712 data and L2 transactions are signed as viem signs them', async (t) => {
  const remote = remoteSigner({ url: service.url, address: ADDRESS, protocol: 'web3signer' })
  const account = privateKeyToAccount(KEY)
  t.equal(await signTypedData(remote, TYPED), await account.signTypedData(TYPED as never))
  const { fees, ...rest } = call
  const { maxFeePerGas, maxPriorityFeePerGas } = fees
  const transaction = {
    ...rest,
    nonce: 7,
    value: 3n,
    gas: 21_000n,
    maxFeePerGas,
    maxPriorityFeePerGas,
  }
  t.equal(
    await signTransaction(remote, transaction),
    await account.signTransaction({ ...transaction, type: 'eip1559' }),
  )
  const opSigner = remoteSigner({ url: service.url, address: ADDRESS, protocol: 'op-signer' })
  await t.rejects(signTypedData(opSigner, TYPED), { code: 'signer-refused', message: /EIP-712/ })
})

t.test('a signature that is none recovers to nothing', async (t) => {
  t.equal(recoverAddress(new Uint8Array(1), new Uint8Array(65)), undefined)
  t.equal(recoverAddress(new Uint8Array(1), new Uint8Array(64)), undefined)
  const good = await localSigner(fromHex(KEY)).sign('block', new Uint8Array(1))
  t.equal(recoverAddress(new Uint8Array(1), good), ADDRESS)
})
