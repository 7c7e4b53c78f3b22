/** Private rows from the command line's own steps, on a real chain behind JSON-RPC: given, granted, published, read, erased. */

import { writeFileSync } from 'node:fs'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import t from 'tap'
import type { ReceiptLedger } from '../../node/attribution/ledger.ts'
import type { PayoutIndex } from '../../node/attribution/payouts.ts'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import type { BridgedIndex } from '../../node/chain/bridged.ts'
import { txHash } from '../../node/chain/tx.ts'
import { ContentStore } from '../../node/content/store.ts'
import { Registry } from '../../node/model/registry.ts'
import type { ModelServices } from '../../node/model/services.ts'
import type { ProvenanceIndex } from '../../node/provenance/event-index.ts'
import { openledgerMethods } from '../../node/rpc/methods/openledger.ts'
import { RpcServer } from '../../node/rpc/server.ts'
import type { Call } from '../../scripts/cli/command.ts'
import type { Person } from '../../scripts/cli/person.ts'
import { rpcTo } from '../../scripts/cli/rpc.ts'
import { commitFile, revealPending } from '../../scripts/datanet/contribute.ts'
import { grant, keyFor, privateRows, readerOf } from '../../scripts/datanet/private.ts'
import { publishVersion } from '../../scripts/datanet/publish.ts'
import { DATANETS } from '../../scripts/datanet/session.ts'
import { createWallet } from '../../scripts/devnet/wallet.ts'
import { alice, bob, extend, type Wallet } from '../support/chain.ts'
import { openDatanet } from '../support/datanet.ts'
import { carol, Economy, operator } from '../support/economy.ts'

t.test('private rows are read by whom they are granted, and proved to all', async (t) => {
  const dir = t.testdir({ content: {}, chain: {}, state: {} })
  const world = await Economy.open(`${dir}/chain`)
  t.teardown(world.close)
  const { chain } = world
  const id = await openDatanet(world, operator)
  // Carol has sent something once: her public key is on chain.
  await world.pay(carol, bob.address, 1n)
  const content = await ContentStore.open(`${dir}/content`)
  const read = (hash: Hex): Promise<Uint8Array> => content.get(hash)
  const block = (raws: readonly Uint8Array[]) => extend(chain, raws, { timestamp: world.now + 1n })
  const server = new RpcServer(
    {},
    {
      chain,
      log: silentLog,
      // A block for each transaction, and one more: a reveal waits for the block after its commitment.
      submitTransaction: async (raw) => {
        await block([raw])
        await block([])
        return txHash(raw)
      },
      methods: [
        openledgerMethods({
          role: 'follower',
          chain,
          models: { registry: new Registry(chain), readContent: read } as unknown as ModelServices,
          content,
          factory: null,
          // Nothing here asks them.
          ledger: { follow: () => () => {} } as unknown as ReceiptLedger,
          payouts: {} as PayoutIndex,
          provenance: {} as ProvenanceIndex,
          bridged: {} as BridgedIndex,
          posted: async () => [],
          peers: () => [],
          p2pAddresses: () => [],
        }),
      ],
    },
  )
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const rpc = rpcTo(url, 60_000)
  const { l2ChainId: chainId } = chain.config
  const person = ({ key }: Wallet): Person & { state: string } => ({
    wallet: createWallet({ privateKey: toHex(key) }, { rpc: url, chainId }),
    rpc,
    chainId,
    key,
    state: `${dir}/state`,
  })
  const [giver, owner] = [person(alice), person(operator)]

  const path = `${dir}/secret.jsonl`
  writeFileSync(path, '{"text":"The pilot takes a fee."}\n{"text":"Nobody knows."}\n')
  const call = { flags: {}, switches: new Set(), args: [] } as unknown as Call
  const sender = async (of: Hex[]): Promise<void> => {
    await giver.wallet.send({ ...DATANETS, functionName: 'commit', args: [id, of] })
  }
  const readers = [await readerOf(carol.address, giver)]
  t.equal(readers[0]?.address, carol.address, 'found by its transaction')
  await commitFile(call, { path, datanetId: Number(id), sender, readers }, giver)
  const [rowsRoot] = await revealPending(
    id === 0n ? 0 : Number(id),
    giver,
    async (contribution) => {
      await giver.wallet.send({ ...DATANETS, functionName: 'reveal', args: [contribution] })
    },
  )
  if (!rowsRoot) throw new Error('nothing was revealed')
  const place = { datanetId: id, rowsRoot }

  await t.rejects(publishVersion(Number(id), owner, { withPrivate: false }), {
    code: 'datanet-empty',
  })
  const published = await publishVersion(Number(id), owner, { withPrivate: true })
  t.match(published, { version: 1, rowCount: 2, unread: [] })
  const proof = await rpc<object>('openledger_getRowProof', Number(id), 1, 1)
  t.match(proof, { row: null, contributor: alice.address, contribution: rowsRoot, count: 2 })

  const { contentHash } = await rpc<{ contentHash: Hex }>(
    'openledger_getContribution',
    Number(id),
    rowsRoot,
  )
  const rowsOf = async (who: Person) =>
    (await privateRows({ ...place, contentHash }, who))?.map(({ text }) => text) ?? null
  const words = ['The pilot takes a fee.', 'Nobody knows.']
  t.same(await rowsOf(person(alice)), words)
  t.same(await rowsOf(person(carol)), words)
  t.equal(await rowsOf(person(bob)), null)
  const key = await keyFor(place, giver)
  const publicKey = toHex(secp256k1.getPublicKey(bob.key, true))
  const reader = await readerOf(publicKey, giver)
  t.equal(reader.address, bob.address)
  await grant(key as Uint8Array, { reader, place }, giver)
  t.same(await rowsOf(person(bob)), words)
  await t.rejects(readerOf(`0x${'77'.repeat(20)}`, giver), { code: 'no-public-key' })
  await t.rejects(readerOf('0x12', giver), { code: 'usage' })
})
