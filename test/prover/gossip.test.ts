/** Verdicts signed at a real remote signer: there, down, and with another account's key. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { judgeEnvelope } from '../../node/attribution/gossip.ts'
import type { VerdictRecord } from '../../node/attribution/ledger.ts'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { remoteSigner } from '../../node/keys/remote.ts'
import type { Signer } from '../../node/keys/signer.ts'
import { envelopePreimage, recoverEnvelopeSigner } from '../../node/p2p/signature.ts'
import { Store } from '../../node/store/store.ts'
import { VerdictGossip } from '../../prover/gossip.ts'
import { walletOf } from '../support/chain.ts'
import { startSigner } from '../support/signer.ts'

const validator = walletOf(0x71)

t.test('a verdict that cannot be signed now waits on disk, and is told later', async (t) => {
  const service = await startSigner(toHex(validator.key))
  t.teardown(service.stop)
  // A signer whose answers are the signatures of another key.
  const foreign = createServer((request, response) => {
    const path = request.url ?? ''
    const isList = path.endsWith('/publicKeys')
    fetch(`${service.url}${path}`, isList ? {} : { method: 'POST', body: '{"data":"0x00"}' })
      .then(async (answer) => response.end(await answer.text()))
      .catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(foreign, 'listening')
  t.teardown(() => {
    foreign.closeAllConnections()
    foreign.close()
  })
  const at = (url: string): Signer =>
    remoteSigner({ url, address: validator.address, protocol: 'web3signer' })
  const store = await Store.open(t.testdir())
  t.teardown(() => store.close())

  const records = new Map<Hex, VerdictRecord>()
  const told: Uint8Array[] = []
  const said: string[] = []
  const by = (signer: Signer): VerdictGossip =>
    new VerdictGossip({
      waiting: store.table('verdicts-unsigned'),
      log: { ...silentLog, warn: (event, data) => said.push(`${event}: ${data?.error}`) },
      verdict: async (receipt) => records.get(receipt) ?? null,
      publish: async (payload) => {
        const statement = { chainId: 901n, kind: 'verdicts', payload } as const
        const signature = await signer.sign('envelope', envelopePreimage(statement))
        const found = recoverEnvelopeSigner(statement, signature)
        t.equal(judgeEnvelope('verdicts', { payload, signer: found as Hex }), 'valid')
        told.push(payload)
      },
    })
  const verdict = (n: number): VerdictRecord => {
    const receiptHash: Hex = `0x${String(n).padStart(64, '0')}`
    const record = { receiptHash, ok: true, validator: validator.address, difference: null }
    records.set(receiptHash, record)
    return record
  }

  await by(at('http://127.0.0.1:1')).tell(verdict(1))
  const url = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`
  await by(at(url)).tell(verdict(2))
  t.match(said, [/waits for its signature: .*does not answer/, /signed with 0x.*want 0x/])
  await by(at(url)).again()
  t.equal(told.length, 0)

  const gossip = by(at(service.url))
  await gossip.tell(verdict(3))
  t.equal(told.length, 1, 'nothing that waits holds up another')
  await gossip.again()
  t.equal(told.length, 3)
  await gossip.again()
  t.equal(told.length, 3, 'each once')
})
