/** ERC-8004's three registries, and what is ours on top: feedback and verdicts that receipts stand behind. */
import t from 'tap'
import { encodeAbiParameters, keccak256, toFunctionSelector } from 'viem'
import { ZERO_ADDRESS, ZERO_HASH } from '../../../node/base/bytes.ts'
import { identity, registerAgent, reputation, validations } from '../../support/agents.ts'
import { alice, bob, CHAIN_ID, ETHER } from '../../support/chain.ts'
import { carol, Economy, economy, operator, provider } from '../../support/economy.ts'
import {
  artefact,
  escrow,
  hashOf,
  hashOfReceipt,
  receiptOf,
  receipts,
  registerModel,
  settlementOf,
} from '../../support/model.ts'
import { accountOf } from '../../support/open.ts'

let world: Economy
t.before(async () => {
  world = await Economy.open(t.testdir(), { blockTime: 10n })
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: ETHER })
})
t.teardown(() => world.close())

const OPINION = {
  value: 87n,
  valueDecimals: 0,
  tag1: 'starred',
  tag2: '',
  endpoint: '',
  feedbackURI: '',
  feedbackHash: ZERO_HASH,
}
const feedback = (id: bigint, value: bigint, decimals: number, tag = ''): unknown[] => [
  id,
  value,
  decimals,
  tag,
  '',
  '',
  '',
  ZERO_HASH,
]

t.test('functions have the selectors and events the topics of the published ERC', async (t) => {
  const published = {
    [identity.address]: [
      'register()',
      'register(string)',
      'register(string,(string,bytes)[])',
      'setAgentURI(uint256,string)',
      'getMetadata(uint256,string)',
      'setMetadata(uint256,string,bytes)',
      'setAgentWallet(uint256,address,uint256,bytes)',
      'getAgentWallet(uint256)',
      'unsetAgentWallet(uint256)',
      'tokenURI(uint256)',
      'ownerOf(uint256)',
    ],
    [reputation.address]: [
      'getIdentityRegistry()',
      'giveFeedback(uint256,int128,uint8,string,string,string,string,bytes32)',
      'revokeFeedback(uint256,uint64)',
      'appendResponse(uint256,address,uint64,string,bytes32)',
      'getSummary(uint256,address[],string,string)',
      'readFeedback(uint256,address,uint64)',
      'readAllFeedback(uint256,address[],string,string,bool)',
      'getResponseCount(uint256,address,uint64,address[])',
      'getClients(uint256)',
      'getLastIndex(uint256,address)',
    ],
    [validations.address]: [
      'getIdentityRegistry()',
      'validationRequest(address,uint256,string,bytes32)',
      'validationResponse(bytes32,uint8,string,bytes32,string)',
      'getValidationStatus(bytes32)',
      'getSummary(uint256,address[],string)',
      'getAgentValidations(uint256)',
      'getValidatorRequests(address)',
    ],
  }
  for (const { address, abi } of [identity, reputation, validations]) {
    const ours = abi.flatMap((item) => (item.type === 'function' ? [toFunctionSelector(item)] : []))
    for (const signature of published[address] ?? []) {
      t.ok(ours.includes(toFunctionSelector(`function ${signature}`)), signature)
    }
  }
})

t.test('an agent is registered with its card and metadata, and changed by who may', async (t) => {
  const metadata = [{ metadataKey: 'model', metadataValue: artefact.modelId }]
  const { events } = await world.send(alice, identity, 'register', ['ipfs://card', metadata])
  t.same(
    events.map(({ name }) => name),
    ['MetadataUpdate', 'Registered', 'MetadataSet', 'MetadataSet'],
  )
  const id = await world.read<bigint>(identity, 'agentCount')
  t.equal(await world.read(identity, 'tokenURI', [id]), 'ipfs://card')
  t.equal(await world.read(identity, 'getMetadata', [id, 'model']), artefact.modelId)
  t.match(
    await world.refusal(bob, identity, 'setAgentURI', [id, 'ipfs://theft']),
    `NotAuthorized(${id},${bob.address})`,
  )
  await world.send(alice, identity, 'approve', [bob.address, id])
  await world.send(bob, identity, 'setAgentURI', [id, 'ipfs://newer'])
  t.equal(await world.read(identity, 'tokenURI', [id]), 'ipfs://newer')
  const set = (key: string, value: string): Promise<string> =>
    world.refusal(alice, identity, 'setMetadata', [id, key, value])
  t.equal(await set('agentWallet', bob.address), 'ReservedKey(agentwallet)')
  t.match(await set('', '0x'), /^BadKey/)
  t.match(await set('x', `0x${'00'.repeat(8_193)}`), /^ValueTooLong/)
  t.match(
    await world.refusal(alice, identity, 'setAgentURI', [99n, 'x']),
    /^ERC721NonexistentToken/,
  )
})

t.test(
  'a wallet is the agents only with its own signature, and no longer after a sale',
  async (t) => {
    const id = await registerAgent(world, alice)
    const walletOf = async (): Promise<string> =>
      (await world.read<string>(identity, 'getAgentWallet', [id])).toLowerCase()
    t.equal(await walletOf(), alice.address)
    const sign = (signer = carol, deadline = world.now + 100n) =>
      accountOf(signer).signTypedData({
        domain: {
          name: 'ERC8004IdentityRegistry',
          version: '1',
          chainId: CHAIN_ID,
          verifyingContract: identity.address,
        },
        types: {
          AgentWalletSet: [
            { name: 'agentId', type: 'uint256' },
            { name: 'newWallet', type: 'address' },
            { name: 'owner', type: 'address' },
            { name: 'deadline', type: 'uint256' },
          ],
        },
        primaryType: 'AgentWalletSet',
        message: { agentId: id, newWallet: carol.address, owner: alice.address, deadline },
      })
    const deadline = world.now + 100n
    const args = [id, carol.address, deadline, await sign(carol, deadline)]
    t.match(
      await world.refusal(alice, identity, 'setAgentWallet', [
        ...args.slice(0, 3),
        await sign(bob),
      ]),
      `InvalidWalletSignature(${carol.address})`,
    )
    t.match(
      await world.refusal(alice, identity, 'setAgentWallet', [id, carol.address, 1n, '0x']),
      /^SignatureExpired/,
    )
    t.match(
      await world.refusal(alice, identity, 'setAgentWallet', [id, carol.address, 1n << 40n, '0x']),
      /^DeadlineTooFar/,
    )
    t.match(await world.refusal(bob, identity, 'setAgentWallet', args), /^NotAuthorized/)
    await world.send(alice, identity, 'setAgentWallet', args)
    t.equal(await walletOf(), carol.address)
    await world.send(alice, identity, 'transferFrom', [alice.address, bob.address, id])
    t.equal(await walletOf(), ZERO_ADDRESS)
    t.equal(await world.read(identity, 'getMetadata', [id, 'agentWallet']), '0x')
  },
)

t.test('feedback counts from whom one asks about, in the finest decimals used', async (t) => {
  const id = await registerAgent(world, alice)
  t.match(
    await world.refusal(alice, reputation, 'giveFeedback', feedback(id, 100n, 0)),
    `SelfFeedback(${id},${alice.address})`,
  )
  t.match(
    await world.refusal(bob, reputation, 'giveFeedback', feedback(99n, 1n, 0)),
    /^ERC721NonexistentToken/,
  )
  t.match(await world.refusal(bob, reputation, 'giveFeedback', feedback(id, 1n, 19)), /^Decimals/)
  t.match(
    await world.refusal(bob, reputation, 'giveFeedback', feedback(id, -(10n ** 37n), 0)),
    /^ValueOutOfBounds/,
  )
  await world.send(bob, reputation, 'giveFeedback', feedback(id, 80n, 0, 'starred'))
  await world.send(carol, reputation, 'giveFeedback', feedback(id, 9_955n, 2, 'uptime'))
  await world.send(carol, reputation, 'giveFeedback', feedback(id, -32n, 1, 'tradingYield'))
  const summary = (who: readonly string[], tag = ''): Promise<unknown[]> =>
    world.read(reputation, 'getSummary', [id, who, tag, ''])
  // (80 + 99.55 - 3.2) / 3 = 58.783…
  t.same(await summary([bob.address, carol.address]), [3n, 5_878n, 2])
  t.same(await summary([bob.address, carol.address], 'uptime'), [1n, 9_955n, 2])
  t.same(await summary([operator.address]), [0n, 0n, 0])
  t.equal(await world.refusal(bob, reputation, 'getSummary', [id, [], '', '']), 'NoClients()')
  await world.send(carol, reputation, 'revokeFeedback', [id, 2n])
  t.match(await world.refusal(carol, reputation, 'revokeFeedback', [id, 2n]), /^AlreadyRevoked/)
  t.match(await world.refusal(bob, reputation, 'revokeFeedback', [id, 2n]), /^UnknownFeedback/)
  t.same(await summary([carol.address]), [1n, 9_955n, 2])
  const all = await world.read<unknown[][]>(reputation, 'readAllFeedback', [id, [], '', '', false])
  t.same(all.slice(1, 3), [
    [1n, 1n],
    [80n, 9_955n],
  ])
  const respond = [id, carol.address, 1n, 'ipfs://refund', ZERO_HASH]
  await world.send(alice, reputation, 'appendResponse', respond)
  await world.send(operator, reputation, 'appendResponse', respond)
  await world.send(operator, reputation, 'appendResponse', respond)
  const count = (...args: unknown[]): Promise<unknown> =>
    world.read(reputation, 'getResponseCount', [id, ...args])
  t.equal(await count(ZERO_ADDRESS, 0n, []), 3n)
  t.equal(await count(carol.address, 1n, [operator.address]), 2n)
  t.equal(await count(bob.address, 0n, []), 0n)
})

t.test(
  'feedback backed by a receipt is given once, by who paid, for the agent that answered',
  async (t) => {
    const model = [{ metadataKey: 'model', metadataValue: artefact.modelId }]
    const id = await registerAgent(world, alice, model)
    const other = await registerAgent(world, alice)
    const receipt = receiptOf({ requestId: hashOf('backed') })
    const give = (who = bob, agent = id, about = receipt, nonce = ZERO_HASH): Promise<string> =>
      world.refusal(who, reputation, 'giveFeedbackForReceipt', [
        agent,
        OPINION,
        about,
        nonce,
        ZERO_HASH,
      ])
    t.match(await give(), /^NotSettled/)
    await world.send(carol, receipts, 'settle', [[settlementOf(receipt)]])
    t.match(await give(carol), /^NotPayer/)
    t.match(await give(bob, other), /^NotOfAgent/)
    const args = [id, OPINION, receipt, ZERO_HASH, ZERO_HASH]
    const { events } = await world.send(bob, reputation, 'giveFeedbackForReceipt', args)
    t.match(events[1], { name: 'FeedbackBacked', args: { receiptHash: hashOfReceipt(receipt) } })
    t.equal(
      await world.read(reputation, 'receiptOf', [id, bob.address, 1n]),
      hashOfReceipt(receipt),
    )
    t.match(await give(), /^ReceiptUsed/)

    // Who paid by x402 is named by a hash in the receipt; the till that carried it on is the payer.
    const nonce = hashOf('nonce')
    const parentAction = keccak256(
      encodeAbiParameters(
        [{ type: 'address' }, { type: 'bytes32' }, { type: 'bytes32' }],
        [carol.address, nonce, ZERO_HASH],
      ),
    )
    const byX402 = receiptOf({ parentAction, requestId: hashOf('another') })
    await world.send(carol, receipts, 'settle', [[settlementOf(byX402)]])
    t.match(await give(carol, id, byX402), /^NotPayer/)
    t.equal(await give(carol, id, byX402, nonce), 'accepted')
  },
)

t.test('a receipt of the agent is judged by what the chain knows of it', async (t) => {
  const id = await registerAgent(world, provider)
  const stranger = await registerAgent(world, carol)
  const [good, bad] = [
    receiptOf({ requestId: hashOf('good') }),
    receiptOf({ requestId: hashOf('bad') }),
  ]
  const file = (agent: bigint, receipt = good): Promise<string> =>
    world.refusal(carol, validations, 'fileReceipt', [agent, receipt])
  t.match(await file(id), /^NotSettled/)
  await world.send(carol, receipts, 'settle', [[settlementOf(good), settlementOf(bad)]])
  t.match(await file(stranger), /^NotOfAgent/)
  for (const receipt of [good, bad]) {
    await world.send(carol, validations, 'fileReceipt', [id, receipt])
  }
  t.match(await file(id), /^RequestExists/)
  const request = (receipt = good): Promise<string> =>
    world.read(validations, 'requestHashOf', [id, hashOfReceipt(receipt)])
  const status = async (receipt = good): Promise<unknown[]> =>
    (
      await world.read<unknown[]>(validations, 'getValidationStatus', [await request(receipt)])
    ).slice(2, 5)
  t.same(await status(), [50, hashOfReceipt(good), 'settled'])
  const [by] = await world.read<string[]>(validations, 'getValidationStatus', [await request()])
  t.equal(by?.toLowerCase(), receipts.address)
  const parts = [
    bob.address,
    [economy.platformTreasury, operator.address, economy.stakersPool, alice.address, bob.address],
    [1_103n, 2_206n, 2_206n, 3_678n, 1_839n],
  ]
  const report = [hashOfReceipt(bad), ...parts, 'tokens', 'token 3']
  await world.send(carol, receipts, 'report', report, { value: ETHER })
  await world.send(carol, validations, 'refresh', [await request(bad)])
  t.same((await status(bad))[2], 'settled')
  await world.send(operator, receipts, 'resolve', [hashOfReceipt(bad), ...parts, true])
  await world.pass(160n)
  for (const receipt of [good, bad]) {
    await world.send(bob, validations, 'refresh', [await request(receipt)])
  }
  t.same(await status(), [100, hashOfReceipt(good), 'final'])
  t.same(await status(bad), [0, hashOfReceipt(bad), 'upheld'])
  t.same(await world.read(validations, 'getSummary', [id, [receipts.address], '']), [2n, 50])
  t.same(await world.read(validations, 'getSummary', [id, [], 'final']), [1n, 100])
  t.match(
    await world.refusal(provider, validations, 'validationRequest', [
      receipts.address,
      id,
      '',
      hashOf('mine'),
    ]),
    'ReceiptsAreFiled()',
  )
})

t.test('any validator an owner names may answer, and nobody else', async (t) => {
  const id = await registerAgent(world, alice)
  const hash = hashOf('work')
  const request = [carol.address, id, 'ipfs://work', hash]
  t.match(await world.refusal(bob, validations, 'validationRequest', request), /^NotAuthorized/)
  t.match(
    await world.refusal(alice, validations, 'validationRequest', [ZERO_ADDRESS, id, '', hash]),
    'ZeroValidator()',
  )
  await world.send(alice, validations, 'validationRequest', request)
  t.match(await world.refusal(alice, validations, 'validationRequest', request), /^RequestExists/)
  const answer = (response: number): unknown[] => [hash, response, '', ZERO_HASH, 'hard']
  t.match(await world.refusal(bob, validations, 'validationResponse', answer(1)), /^NotValidator/)
  t.match(
    await world.refusal(carol, validations, 'validationResponse', answer(101)),
    /^ResponseOut/,
  )
  t.same(await world.read(validations, 'getSummary', [id, [], '']), [0n, 0])
  await world.send(carol, validations, 'validationResponse', answer(70))
  t.same(await world.read(validations, 'getSummary', [id, [carol.address], 'hard']), [1n, 70])
  t.same(await world.read(validations, 'getAgentValidations', [id]), [hash])
})
