/** Signing outputs: only what is verified, one for each block, and counting other validators' signatures. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { type Hex, toHex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { outputRootOf } from '../../../node/chain/output.ts'
import { localSigner } from '../../../node/keys/signer.ts'
import { signerOf, signOutput } from '../../../prover/settlement/attestation.ts'
import { Attestor, collectAttestations, Outputs } from '../../../prover/settlement/outputs.ts'
import { extend, openTestChain, walletOf } from '../../support/chain.ts'

const domain = { l1ChainId: 1, l2ChainId: 2, verifier: `0x${'ee'.repeat(20)}` as Hex }
const [us, them, stranger] = [walletOf(0x71), walletOf(0x72), walletOf(0x73)]

t.test(
  'a validator signs what it has verified, and never a second output of a block',
  async (t) => {
    const { chain, store, close } = await openTestChain(t.testdir())
    t.teardown(close)
    for (let i = 0; i < 3; i++) await extend(chain)
    let verified = 1n
    const outputs = new Outputs({ chain, verifiedBlock: () => verified, head: 'safe' })
    const attestor = new Attestor({
      outputs,
      domain,
      signer: localSigner(us.key),
      signed: store.table('attested'),
    })
    await t.rejects(attestor.attest(1n), { code: 'output-not-verified', message: /above 0/ })
    const second = chain.blockByNumber(2n)
    if (!second) throw new Error('no block')
    await chain.markSafe({ hash: second.hash, number: 2n }, chain.config.genesis.l1)
    await t.rejects(attestor.attest(2n), { code: 'output-not-verified', message: /above 1/ })
    verified = 9n
    await t.rejects(attestor.attest(3n), { code: 'output-not-verified' }, 'unsafe')
    const signed = await attestor.attest(2n)
    t.equal(signed.outputRoot, outputRootOf(second))
    t.equal(await signerOf(domain, signed, signed.signature), us.address)
    t.equal((await attestor.attest(2n)).signature, signed.signature, 'the same again')

    // L1 reorganises, and block 2 becomes another one.
    const first = chain.blockByNumber(1n)
    if (!first) throw new Error('no block')
    await chain.resetUnsafe({ hash: first.hash, number: 1n })
    const { block } = await extend(chain, [], { prevRandao: `0x${'99'.repeat(32)}` })
    await chain.markSafe({ hash: block.hash, number: 2n }, chain.config.genesis.l1)
    await t.rejects(attestor.attest(2n), { code: 'output-equivocation', message: /cost the bond/ })
  },
)

t.test('attestations are asked for and counted by signer, bonded ones only', async (t) => {
  const output = { l2BlockNumber: 5n, outputRoot: `0x${'0a'.repeat(32)}` as Hex }
  const answers = new Map<string, unknown>()
  const server = createServer((request, response) => {
    response.end(JSON.stringify(answers.get(request.url ?? '')))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  const url = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
  const says = async (path: string, key: Uint8Array, what = output): Promise<string> => {
    answers.set(path, {
      result: { signature: (await signOutput(domain, what, localSigner(key))).signature },
    })
    return url(path)
  }
  const bonded = new Set([us.address, them.address])
  const collect = (peers: string[], threshold: number) =>
    collectAttestations(
      {
        attestor: {
          attest: () => signOutput(domain, output, localSigner(us.key)),
        } as unknown as Attestor,
        peers,
        domain,
        isBonded: async (address) => bonded.has(address),
        threshold: async () => threshold,
        log: silentLog,
      },
      output,
    )
  const good = await says('/good', them.key)
  const other = await says('/other', them.key, { ...output, l2BlockNumber: 6n })
  const unbonded = await says('/unbonded', stranger.key)
  answers.set('/error', { error: { message: 'not verified' } })
  answers.set('/junk', { result: { signature: '0x12' } })
  answers.set('/large', { result: 'x'.repeat(20_000) })
  t.equal((await collect([good], 2))?.length, 2)
  t.equal((await collect([good, good], 2))?.length, 2, 'each counts once')
  t.equal(await collect([good, good], 3), null)
  const bad = [other, unbonded, url('/error'), url('/junk'), url('/large'), 'http://127.0.0.1:1/']
  t.equal(await collect(bad, 2), null)
  t.equal((await collect([...bad, good], 2))?.length, 2, 'nobody spoils it for the others')
})

t.test('a signature that is none has no signer', async (t) => {
  const output = { l2BlockNumber: 5n, outputRoot: `0x${'0a'.repeat(32)}` as Hex }
  t.equal(await signerOf(domain, output, '0x1234'), null)
  t.equal(await signerOf(domain, output, toHex(new Uint8Array(65))), null)
})
