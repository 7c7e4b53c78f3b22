/** The door to the chain plane's mathematics: known answers, arguments refused by name, work off the event loop. */
import t from 'tap'
import {
  cryptoFault,
  keccak256,
  keccak256Many,
  NativeTries,
  orderedTrieRoot,
  RECOVER_ANSWER_BYTES,
  RECOVER_REQUEST_BYTES,
  recoverPublicKey,
  recoverPublicKeys,
  signHashes,
} from '../../native/index.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const EMPTY_ROOT = Uint8Array.from(
  Buffer.from('56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421', 'hex'),
)

t.test('keccak-256 gives the known answers, one by one and in a batch', async (t) => {
  t.equal(cryptoFault(), null)
  const empty = 'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'
  const abc = '4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45'
  t.equal(hex(keccak256(new Uint8Array(0))), empty)
  const many = keccak256Many([Buffer.from('abc'), new Uint8Array(0), Buffer.from('abc')])
  t.equal(hex(many), abc + empty + abc)
  t.equal(hex(orderedTrieRoot([])), hex(EMPTY_ROOT))
})

t.test('one hash is not written over by the next', async (t) => {
  const first = keccak256(Uint8Array.of(1))
  const kept = hex(first)
  keccak256(Uint8Array.of(2))
  t.equal(hex(first), kept)
})

t.test('what was signed is recovered, alone and in a batch off the event loop', async (t) => {
  const asked = Array.from({ length: 300 }, (_, i) => {
    const request = new Uint8Array(64)
    request.set(keccak256(Uint8Array.of(i & 255, i >> 8)))
    request.fill(1 + (i % 7), 32)
    return request
  })
  const signatures = signHashes(Buffer.concat(asked))
  const requests = asked.map((request, i) =>
    Buffer.concat([request.subarray(0, 32), signatures.subarray(i * 65, i * 65 + 65)]),
  )
  const answers = await recoverPublicKeys(Buffer.concat(requests))
  t.equal(answers.length, 300 * RECOVER_ANSWER_BYTES)
  for (const [i, request] of requests.entries()) {
    const answer = answers.subarray(i * RECOVER_ANSWER_BYTES, (i + 1) * RECOVER_ANSWER_BYTES)
    t.equal(answer[0], 1)
    t.same(recoverPublicKey(request), Uint8Array.from(answer.subarray(1)))
    t.equal(hex(answer), hex(answers.subarray((i % 7) * 65, (i % 7) * 65 + 65)))
  }
})

t.test('junk is nobody’s signature', async (t) => {
  t.equal(recoverPublicKey(new Uint8Array(RECOVER_REQUEST_BYTES)), null)
  const answers = await recoverPublicKeys(new Uint8Array(2 * RECOVER_REQUEST_BYTES).fill(255))
  t.same(answers, new Uint8Array(2 * RECOVER_ANSWER_BYTES))
})

t.test('wrong sizes are refused with the argument’s name', async (t) => {
  const refused = { code: 'NATIVE_BAD_INPUT' }
  t.throws(() => recoverPublicKey(new Uint8Array(96)), { ...refused, message: /request has 96/ })
  t.throws(() => signHashes(new Uint8Array(63)), { ...refused, message: /requests has 63/ })
  t.throws(() => signHashes(new Uint8Array(64)), { ...refused, message: /secret key/ })
  await t.rejects(recoverPublicKeys(new Uint8Array(1)), { ...refused, message: /requests has 1/ })
  t.throws(() => keccak256('text' as never), refused)
  const tries = new NativeTries(1_000_000, () => undefined)
  t.throws(() => tries.get(new Uint8Array(31), Uint8Array.of(1)), { message: /root has 31/ })
  const ragged = [
    [Uint8Array.of(1), Uint8Array.of(1)] as const,
    [Uint8Array.of(1, 2), Uint8Array.of(1)] as const,
  ]
  t.throws(() => tries.commit(EMPTY_ROOT, ragged), { ...refused, message: /different lengths/ })
})

t.test('a missing trie node is asked for once and named when nobody has it', async (t) => {
  const disk = new Map<string, Uint8Array>()
  const writer = new NativeTries(1_000_000, () => undefined)
  const changes = Array.from(
    { length: 200 },
    (_, i) => [Uint8Array.of(i), Uint8Array.of(9, i)] as const,
  )
  const { root, nodes } = writer.commit(EMPTY_ROOT, changes)
  for (const { hash, rlp } of nodes) disk.set(hex(hash), rlp)
  const asked: string[] = []
  const reader = new NativeTries(1_000_000, (hash) => {
    asked.push(hex(hash))
    return disk.get(hex(hash))
  })
  for (const [key, value] of changes) t.same(reader.get(root, key), value)
  t.equal(reader.get(root, Uint8Array.of(200)), null)
  t.equal(new Set(asked).size, asked.length)
  const nowhere = new NativeTries(1_000_000, () => undefined)
  t.throws(() => nowhere.get(root, Uint8Array.of(1)), { message: new RegExp(hex(root)) })
})
