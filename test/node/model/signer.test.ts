/** Receipts and the sponsor's vouchers signed at real remote signers: there, down, and with another account's key. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type OpenAI from 'openai'
import t from 'tap'
import { recoverSigner } from '../../../node/attribution/receipt.ts'
import { type Hex, toHex } from '../../../node/base/bytes.ts'
import { remoteSigner } from '../../../node/keys/remote.ts'
import { operator, provider } from '../../support/economy.ts'
import { openService } from '../../support/service.ts'
import { startSigner } from '../../support/signer.ts'

const QUESTION = { model: 'tiny-sotu', prompt: 'Fellow citizens', max_tokens: 2, temperature: 0 }

t.test(
  'an answer is signed for at remote signers, or is not given and costs nothing',
  async (t) => {
    const keys = { provider: provider.key, sponsor: operator.key }
    const remotes = {
      provider: await startSigner(toHex(keys.provider)),
      sponsor: await startSigner(toHex(keys.sponsor)),
    }
    t.teardown(() => Promise.all([remotes.provider.stop(), remotes.sponsor.stop()]))
    /** What stands before each signer: lets it answer, breaks off, or has it sign something else. */
    const mode: Record<string, 'honest' | 'down' | 'foreign'> = {}
    const front = async (role: keyof typeof remotes): Promise<string> => {
      mode[role] = 'honest'
      const server = createServer(async (request, response) => {
        let body = ''
        for await (const chunk of request) body += chunk
        if (mode[role] === 'down') {
          response.destroy()
          return
        }
        const sent = mode[role] === 'foreign' ? '{"data":"0x00"}' : body
        const init = request.method === 'POST' ? { method: 'POST', body: sent } : {}
        const answer = await fetch(`${remotes[role].url}${request.url}`, init)
        response.end(await answer.text())
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.teardown(() => {
        server.closeAllConnections()
        server.close()
      })
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    }
    const at = async (role: keyof typeof remotes, address: Hex) =>
      remoteSigner({ url: await front(role), address, protocol: 'web3signer' })
    const signers = {
      provider: await at('provider', provider.address),
      sponsor: await at('sponsor', operator.address),
    }
    const { client, service, settler, registry, settle, model } = await openService(t, {
      freeTokens: 24,
      signers,
    })
    const question = { ...QUESTION, model: model.name }
    const quotaLeft = async (): Promise<unknown> => {
      const asked = client.completions.create({ ...question, max_tokens: 24 })
      const refused = (await asked.catch((error) => error)) as InstanceType<typeof OpenAI.APIError>
      const { payment } = refused.error as { payment: { accepts: Record<string, unknown>[] } }
      return payment.accepts.find(({ scheme }) => scheme === 'free-quota')?.tokensLeft
    }

    for (const role of ['provider', 'sponsor'] as const) {
      for (const fault of ['down', 'foreign'] as const) {
        mode[role] = fault
        const error = await client.completions.create(question).catch((reason) => reason)
        t.match(error, { status: 503, code: 'signer-unavailable', message: /cannot sign now/ })
        t.notMatch(error.message, /127\.0\.0\.1/, 'callers do not learn where the signer is')
        t.equal(settler.waiting, 0, 'nothing is owed')
        t.equal(await quotaLeft(), 24, 'and the quota is whole')
      }
      mode[role] = 'honest'
    }
    const answer = (await client.completions.create(question)) as unknown as {
      openledger: { receiptHash: Hex; providerSignature: Hex }
    }
    const { receiptHash, providerSignature } = answer.openledger
    t.equal(recoverSigner(receiptHash, providerSignature), provider.address)
    t.equal(service.provider, provider.address)
    await settle()
    t.ok(await registry.isSettled(receiptHash), 'the contracts take both signatures')
  },
)
