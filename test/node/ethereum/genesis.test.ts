import fc from 'fast-check'
import t from 'tap'
import { NodeError } from '../../../node/base/errors.ts'
import { encodeHeader } from '../../../node/chain/block.ts'
import { decodeRlp } from '../../../node/chain/rlp.ts'
import { readGenesis } from '../../../node/ethereum/genesis.ts'
import { genesisJson } from './world.ts'

const read = (change: object, config: object = {}): ReturnType<typeof readGenesis> =>
  readGenesis(
    JSON.stringify({ ...genesisJson, config: { ...genesisJson.config, ...config }, ...change }),
  )

t.test('a chain that begins in Frontier has a header of fifteen fields', async (t) => {
  const { block } = await readGenesis(
    JSON.stringify({
      config: { chainId: 1, homesteadBlock: 1_150_000 },
      nonce: '0x42',
      extraData: '0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa',
      gasLimit: '0x1388',
      difficulty: '0x400000000',
      alloc: {},
    }),
  )
  t.match(block.header, { number: 0n, gasLimit: 5_000n, difficulty: 17_179_869_184n })
  t.equal((decodeRlp(encodeHeader(block.header)) as unknown[]).length, 15)
})

t.test(
  'numbers may be JSON numbers, hex or decimal text; addresses with or without 0x',
  async (t) => {
    const address = 'ab'.repeat(20)
    const roots = new Set<string>()
    for (const balance of [16, '16', '0x10']) {
      for (const key of [address, `0x${address}`, address.toUpperCase()]) {
        const { block } = await read({ alloc: { [key]: { balance } } })
        roots.add(block.header.stateRoot)
      }
    }
    t.equal(roots.size, 1)
  },
)

t.test('what cannot be is refused by the name of the field', async (t) => {
  const wrong: [Promise<unknown>, RegExp][] = [
    [readGenesis('{'), /not JSON/],
    [readGenesis('[]'), /it must be an object/],
    [readGenesis('{"config":{"chainId":1}}'), /alloc must be an object/],
    [read({}, { chainId: 'x' }), /config.chainId is "x"/],
    [read({}, { londonBlock: -1 }), /config.londonBlock is -1/],
    [read({}, { londonBlock: 9 }), /fork paris begins before london/],
    [read({}, { verkleTime: 5 }), /config.verkleTime is a fork this node does not know/],
    [read({}, { mergeNetsplitBlock: null }), /config.mergeNetsplitBlock is missing/],
    [read({}, { daoForkBlock: 5, daoForkSupport: true }), /the DAO fork is not supported/],
    [read({ alloc: { zz: {} } }), /alloc key zz/],
    [read({ alloc: { aa: { balance: '1.5' } } }), /alloc.aa.balance is "1.5"/],
    [read({ alloc: { aa: { code: 'xyz' } } }), /alloc.aa.code must be bytes/],
    [read({ gasLimit: 'much' }), /gasLimit is "much"/],
  ]
  for (const [attempt, message] of wrong) await t.rejects(attempt, { code: 'genesis', message })
})

t.test('no JSON makes it throw anything but its own error', async () => {
  await fc.assert(
    fc.asyncProperty(fc.json(), fc.object(), async (text, config) => {
      for (const one of [text, JSON.stringify({ config, alloc: config })]) {
        await readGenesis(one).catch((error) => {
          if (!(error instanceof NodeError && error.code === 'genesis')) throw error
        })
      }
    }),
    { numRuns: 200 },
  )
})
