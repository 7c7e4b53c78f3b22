import fc from 'fast-check'
import t from 'tap'
import {
  decodeRequest,
  encodeRequest,
  type InferenceRequest,
  requestIdOf,
} from '../../../node/attribution/request.ts'
import { keccakHex, utf8, ZERO_HASH } from '../../../node/base/bytes.ts'

const requests: fc.Arbitrary<InferenceRequest> = fc.record({
  modelId: fc.constant(ZERO_HASH),
  prompt: fc.array(fc.nat(50_000), { maxLength: 50 }),
  sampler: fc.record({
    maxTokens: fc.nat(100),
    temperature: fc.constantFrom(0, 0.5, 1),
    topP: fc.constantFrom(0.9, 1),
    stop: fc.array(fc.nat(10), { maxLength: 3 }),
  }),
  seed: fc.bigInt(0n, 2n ** 64n - 1n).map(String),
  nonce: fc.constant(ZERO_HASH),
})

t.test('a request survives its encoding, and its id is the hash of it', async (t) => {
  fc.assert(
    fc.property(requests, (request) => {
      const bytes = encodeRequest(request)
      return (
        JSON.stringify(decodeRequest(bytes)) === new TextDecoder().decode(bytes) &&
        requestIdOf(decodeRequest(bytes)) === keccakHex(bytes)
      )
    }),
  )
  t.pass('held for every generated request')
})

t.test('bytes that are not a canonical request are refused, never misread', async (t) => {
  const good = encodeRequest({
    modelId: ZERO_HASH,
    prompt: [1],
    sampler: { maxTokens: 1, temperature: 0, topP: 1, stop: [] },
    seed: '0',
    nonce: ZERO_HASH,
  })
  const text = new TextDecoder().decode(good)
  for (const bad of ['', 'null', '[]', '{"prompt":[1]}', ` ${text}`, text.replace('[1]', '[-1]')]) {
    t.throws(() => decodeRequest(utf8(bad)), { code: 'inference-request' }, bad.slice(0, 20))
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeRequest(bytes)
        return false
      } catch (error) {
        return (error as { code: string }).code === 'inference-request'
      }
    }),
  )
})
