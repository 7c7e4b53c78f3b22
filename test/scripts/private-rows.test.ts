/** Private rows from the command line's own steps, on a real chain behind JSON-RPC: given, granted, published, read, erased. */

import { writeFileSync } from 'node:fs'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import t from 'tap'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { ContentStore } from '../../node/content/store.ts'
import { encodeRows } from '../../node/datanet/rows.ts'
import { decodeVersionManifest, encodeVersionManifest } from '../../node/datanet/version.ts'
import type { Call } from '../../scripts/cli/command.ts'
import type { Person } from '../../scripts/cli/person.ts'
import { commitFile, revealPending } from '../../scripts/datanet/contribute.ts'
import {
  grant,
  keyFor,
  privateRows,
  readableRows,
  readerOf,
} from '../../scripts/datanet/private.ts'
import { publishVersion } from '../../scripts/datanet/publish.ts'
import { DATANETS } from '../../scripts/datanet/session.ts'
import { alice, bob } from '../support/chain.ts'
import { openDatanet } from '../support/datanet.ts'
import { carol, Economy, operator } from '../support/economy.ts'
import { servePeople } from '../support/person.ts'

t.test('private rows are read by whom they are granted, and proved to all', async (t) => {
  const dir = t.testdir({ content: {}, chain: {}, state: {} })
  const world = await Economy.open(`${dir}/chain`)
  t.teardown(world.close)
  const id = await openDatanet(world, operator)
  // Carol has sent something once: her public key is on chain.
  await world.pay(carol, bob.address, 1n)
  const content = await ContentStore.open(`${dir}/content`)
  const read = (hash: Hex): Promise<Uint8Array> => content.get(hash)
  const { rpc, person } = await servePeople(t, world, { content, state: `${dir}/state` })
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
  const [rowsRoot] = await revealPending(Number(id), giver, async (contribution) => {
    await giver.wallet.send({ ...DATANETS, functionName: 'reveal', args: [contribution] })
  })
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
  t.same(
    (await readableRows(Number(id), null, giver)).rows,
    words.map((text) => ({ text })),
  )
  t.match(await readableRows(Number(id), 1, person(bob)), { rows: [], unread: [/no grant/] })
  // An owner whose manifest gives the contribution another file.
  const version = await rpc<{ manifestHash: Hex }>('openledger_getDatanetVersion', Number(id), 1)
  const manifest = decodeVersionManifest(await read(version.manifestHash), version.manifestHash)
  const file = await content.put(encodeRows([{ text: 'Put into her mouth.' }]))
  const contributions = manifest.contributions.map(({ isPrivate: _, ...one }) => ({ ...one, file }))
  const forged = await content.put(encodeVersionManifest({ version: 1, contributions }))
  const lied = ((name, ...args) =>
    name === 'openledger_getDatanetVersion'
      ? Promise.resolve({ manifestHash: forged })
      : rpc(name, ...args)) as typeof rpc
  t.match(await readableRows(Number(id), null, { ...giver, rpc: lied }), {
    rows: [],
    unread: [/other rows/],
  })
  const key = await keyFor(place, giver)
  const publicKey = toHex(secp256k1.getPublicKey(bob.key, true))
  const reader = await readerOf(publicKey, giver)
  t.equal(reader.address, bob.address)
  await grant(key as Uint8Array, { reader, place }, giver)
  t.same(await rowsOf(person(bob)), words)
  await t.rejects(readerOf(`0x${'77'.repeat(20)}`, giver), { code: 'no-public-key' })
  await t.rejects(readerOf('0x12', giver), { code: 'usage' })
})
