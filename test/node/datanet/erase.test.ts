/** Erased private rows on a real chain: the payload is deleted, what proves the rows is not, nor are public rows. */
import { randomBytes } from 'node:crypto'
import { utimes } from 'node:fs/promises'
import t from 'tap'
import { Follower } from '../../../node/chain/follower.ts'
import { ContentStore } from '../../../node/content/store.ts'
import { decodeEnvelope, encodeEnvelope, envelopeRoot } from '../../../node/datanet/envelope.ts'
import { ErasedContent } from '../../../node/datanet/erase.ts'
import { sealRows } from '../../../node/datanet/private.ts'
import { encodeRows, rowsRoot } from '../../../node/datanet/rows.ts'
import { alice } from '../../support/chain.ts'
import { contribute, contributionOf, openDatanet } from '../../support/datanet.ts'
import { Economy, operator } from '../../support/economy.ts'
import { datanets } from '../../support/model.ts'

t.test('what is erased is forgotten, what proves it is kept', async (t) => {
  const world = await Economy.open(t.testdir({ content: {} }))
  t.teardown(world.close)
  const content = await ContentStore.open(`${t.testdirName}/content`)
  const random = (size: number): Uint8Array => new Uint8Array(randomBytes(size))
  const id = await openDatanet(world, operator)
  const rows = [{ text: 'a secret' }]
  const sealed = sealRows(rows, { key: random(32), random })
  const envelope = await content.put(sealed.envelope)
  const payload = await content.put(sealed.payload)
  const file = await content.put(encodeRows(rows))
  const hidden = contributionOf(id, alice, {
    rowsRoot: sealed.rowsRoot,
    contentHash: envelope,
    rowCount: 1,
    isPrivate: true,
  })
  const shown = contributionOf(id, alice, {
    rowsRoot: rowsRoot(rows),
    contentHash: file,
    rowCount: 1,
  })
  for (const one of [hidden, shown]) await contribute(world, one, alice)

  const erased = new ErasedContent(world.chain, world.store, content)
  await Follower.start(world.chain, [erased])
  t.ok(await content.has(payload))
  for (const one of [hidden, shown]) await world.send(alice, datanets, 'erase', [id, one.rowsRoot])
  await erased.follower.settled()
  t.notOk(await content.has(payload))
  t.ok(await content.has(file))
  t.equal(decodeEnvelope(await content.get(envelope)).payloadHash, payload)
})

t.test("nobody deletes another's content by an envelope that names it", async (t) => {
  const world = await Economy.open(t.testdir({ content: {} }))
  t.teardown(world.close)
  const content = await ContentStore.open(`${t.testdirName}/content`)
  const id = await openDatanet(world, operator)
  const adapter = await content.put(new Uint8Array(randomBytes(200)))
  // The clock of the file system may tick only now and then.
  const hour = 3_600
  await utimes(content.path(adapter), Date.now() / 1000 - hour, Date.now() / 1000 - hour)
  const word = new Uint8Array(randomBytes(32))
  const forged = { payloadHash: adapter, leaves: [word], rowHashes: [word] }
  const contentHash = await content.put(encodeEnvelope(forged))
  const rows = envelopeRoot(forged)
  const one = contributionOf(id, alice, {
    rowsRoot: rows,
    contentHash,
    rowCount: 1,
    isPrivate: true,
  })
  await contribute(world, one, alice)

  const erased = new ErasedContent(world.chain, world.store, content)
  await Follower.start(world.chain, [erased])
  await world.send(alice, datanets, 'erase', [id, rows])
  await erased.follower.settled()
  t.ok(await content.has(adapter))
})
