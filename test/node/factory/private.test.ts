/** Private rows in training: read with a grant, named without one, and in nothing that is published. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import t from 'tap'
import { decodeLeaves } from '../../../node/attribution/leaves.ts'
import { readSealed } from '../../../node/attribution/table.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { ContentStore } from '../../../node/content/store.ts'
import { decodeEnvelope } from '../../../node/datanet/envelope.ts'
import { encodeGroups, GroupIndex } from '../../../node/datanet/groups.ts'
import { sealRows, wrapKey } from '../../../node/datanet/private.ts'
import { encodeRows, type Row, rowsRoot } from '../../../node/datanet/rows.ts'
import { packVersion } from '../../../node/datanet/version.ts'
import { openNatsFabric } from '../../../node/factory/fabric/nats.ts'
import { RowPlaces } from '../../../node/factory/places.ts'
import { readReport } from '../../../node/factory/report.ts'
import { TrainingWorker } from '../../../node/factory/worker.ts'
import type { Node } from '../../../node/main.ts'
import type { ModelRecord } from '../../../node/model/registry.ts'
import { checkReceipt, checkTable } from '../../../prover/check.ts'
import { ModelAudits } from '../../../prover/models.ts'
import { alice, bob, testConfig } from '../../support/chain.ts'
import { contribute, contributionOf, openDatanet, versionOf } from '../../support/datanet.ts'
import { filesBelow } from '../../support/dir.ts'
import { carol, operator, provider } from '../../support/economy.ts'
import { jobsContract, openWorld, TINY, type World } from '../../support/factory.ts'
import { sell, trained } from '../../support/market.ts'
import { datanets } from '../../support/model.ts'
import { natsFor } from '../../support/nats.ts'

const random = (size: number): Uint8Array => new Uint8Array(randomBytes(size))
const PUBLIC: Row[] = Array.from({ length: 10 }, (_, i) => ({
  text: `Fellow citizens, year ${i} brought ${'grain treaty canal river navy'.split(' ')[i % 5]} and tariff ${i * i} to the senate.`,
}))
const SECRET: Row[] = Array.from({ length: 8 }, (_, i) => ({
  text: `The pilot Zebulon keeps ${i + 3} sovereigns in a locker under the quarterdeck number ${i * 7}.`,
}))

/** A Datanet of public rows of alice's and private ones of bob's. */
async function withPrivate({ economy, content }: World) {
  const id = await openDatanet(economy, operator)
  const rowsKey = random(32)
  const sealed = sealRows(SECRET, { key: rowsKey, random })
  const file = await content.put(encodeRows(PUBLIC))
  await content.put(sealed.envelope)
  const payload = await content.put(sealed.payload)
  const open = { rowsRoot: rowsRoot(PUBLIC), contentHash: file, rowCount: PUBLIC.length }
  await contribute(economy, contributionOf(id, alice, open), alice)
  const { rowsRoot: root, contentHash } = sealed
  const hidden = { rowsRoot: root, contentHash, rowCount: SECRET.length, isPrivate: true }
  await contribute(economy, contributionOf(id, bob, hidden), bob)
  const packed = packVersion([
    { contributor: alice.address, file, rows: PUBLIC },
    { contributor: bob.address, file: contentHash, envelope: decodeEnvelope(sealed.envelope) },
  ])
  const groups = new GroupIndex()
  const hashes = decodeEnvelope(sealed.envelope).rowHashes
  const rows = [...groups.addRows(PUBLIC), ...hashes.map((hash) => groups.add(hash, undefined))]
  const version = {
    ...versionOf(packed.rowsRoot, packed.contributions),
    manifestHash: await content.put(packed.manifest),
    groupsHash: await content.put(encodeGroups({ asOf: 0n, rows })),
  }
  await economy.send(operator, datanets, 'publish', [id, version])
  const grant = async (reader: typeof provider): Promise<void> => {
    const place = { chainId: testConfig.l2ChainId, datanetId: id, rowsRoot: root }
    const ephemeral = secp256k1.utils.randomSecretKey()
    const key = secp256k1.getPublicKey(reader.key, true)
    const keyHash = await content.put(wrapKey(rowsKey, { reader: key, ephemeral, place }))
    await economy.send(bob, datanets, 'grant', [id, root, reader.address, keyHash])
  }
  return { id, root, payload, grant }
}

t.test(
  'a model is trained on private rows by who has a grant, and shows nothing of them',
  async (t) => {
    const world = await openWorld(t)
    const { economy, content, factory, base } = world
    const { id, root, payload, grant } = await withPrivate(world)
    const request = { name: 'pilots', datanets: [{ datanet: id.toString() }] }

    await t.rejects(world.submit(request), {
      code: 'datanet-private',
      message: `8 rows of ${bob.address} in Datanet ${id} are private, and ${provider.address} has no grant: ask ${bob.address} for 'openledger datanet grant ${id} ${root} ${provider.address}', or name a version without them`,
    })
    await grant(provider)
    const job = await trained(world, request)
    const result = job.result as NonNullable<typeof job.result>
    t.same([...result.contributors].sort(), [alice.address, bob.address].sort())

    await t.test('their words are in no file that the node or the worker keeps', async (t) => {
      const inTokens = ({ text }: Row): Buffer => {
        const { buffer, byteOffset, byteLength } = base.model.encode(text).slice(2, 10)
        return Buffer.from(buffer, byteOffset, byteLength)
      }
      const words = ['Zebulon', 'quarterdeck', ...SECRET.map(inTokens)]
      const kept = readdirSync(world.dir).flatMap((dir) => [...filesBelow(join(world.dir, dir))])
      const leaks = words.flatMap((word, i) =>
        kept.some((file) => file.includes(word)) ? [i] : [],
      )
      t.same(leaks, [])
      const open = PUBLIC[3] as Row
      for (const word of [open.text, inTokens(open)])
        t.ok(
          kept.some((file) => file.includes(word)),
          'a public row is found so',
        )
    })

    const market = await sell(t, world, job)
    const { registry, library } = market
    const read = (hash: Hex): Promise<Uint8Array> => content.get(hash)
    const record = (await registry.model(market.model)) as ModelRecord
    const state = economy.chain.stateAt('unsafe')
    const draw: Hex = `0x${'77'.repeat(32)}`
    const table = readSealed(state.code(`0x${market.model.slice(26)}`), (at) => state.code(at))

    await t.test('they earn by the gradient; the corpus has the public ones alone', async (t) => {
      const places = await new RowPlaces(read).of(record.manifestHash)
      const hidden = places.flatMap(({ isPrivate }, row) => (isPrivate ? [row] : []))
      t.ok(hidden.length > 0 && hidden.length < places.length, 'places need no grant')
      const { corpus } = await library.load(record)
      t.same(
        corpus?.rows.map(({ group }) => group),
        places.flatMap(({ isPrivate }, row) => (isPrivate ? [] : [row])),
      )
      const report = await readReport(result.report, read)
      const { k, sketches } = decodeLeaves(await read(report.leavesHash))
      for (const row of hidden)
        t.ok(
          sketches.subarray(row * k, (row + 1) * k).some((entry) => entry !== 0),
          `leaf ${row}`,
        )
      t.equal(table.multipliers[table.accounts.indexOf(bob.address)], 1)
    })

    await t.test('a validator with a grant checks; one without says that it cannot', async (t) => {
      const open = { registry, library, read }
      await t.rejects(checkTable(record, table, draw, open), { code: 'datanet-private' })
      await t.rejects(checkTable(record, table, draw, { ...open, open: world.granted(carol) }), {
        code: 'datanet-private',
        message: /has no grant/,
      })
      const looked = await checkTable(record, table, draw, {
        ...open,
        open: world.granted(provider),
      })
      t.equal(looked.difference, null)
      const { settled } = await market.ask('Fellow citizens, year')
      const traceOf = async (of: Hex): Promise<Hex | null> => market.traces.get(of) ?? null
      const checked = await checkReceipt(settled, { registry, library, content: read, traceOf })
      t.equal(checked, null, 'receipts need no grant')

      const audited = async (who: typeof carol) => {
        const audits = new ModelAudits({
          node: {
            ...{ store: world.store, chain: economy.chain, content, log: silentLog },
            ...{ models: { registry, library }, options: { dataDir: join(world.dir, 'audit') } },
          } as unknown as Node,
          read,
          open: world.granted(who),
          signal: new AbortController().signal,
          refuted: async () => {},
          // Not of itself after a minute, beside what comes here next.
          later: () => {},
        })
        await audits.heard([market.model], draw)
        await audits.stop()
        return audits.verdict(market.model)
      }
      t.match(await audited(carol), { ok: null, error: /^cannot check: 8 rows .* are private/ })
      await grant(carol)
      t.match(await audited(carol), { ok: true, steps: Number, error: null })
    })

    await t.test('rows that are erased end the jobs that need them, by name', async (t) => {
      const code = 'datanet-erased'
      const message = `8 rows of ${bob.address} in Datanet ${id} are erased by their contributor: name a version without them; 'openledger datanet version ${id}' makes one`
      const begin = async (name: string): Promise<Hex> => {
        const training = { ...TINY.training, epochs: 12 }
        const { manifest, id: job } = await world.submit({ ...request, training, name }, alice)
        const shown = world.until(job, ({ checkpoints }) => checkpoints.length > 0)
        await factory.submit(manifest)
        await shown
        return job
      }
      const control = (job: Hex, action: number): Promise<unknown> =>
        economy.send(alice, jobsContract, 'control', [job, action])
      const held = await economy.read(jobsContract, 'held')
      const paused = await begin('paused')
      world.hold(world.until(paused, ({ wish }) => wish === 'pause'))
      await control(paused, 0)
      factory.heard(paused)
      await world.until(paused, ({ state }) => state === 'paused')
      const running = await begin('running')
      world.hold(world.until(running, ({ wish }) => wish === 'cancel'))

      await economy.send(bob, datanets, 'erase', [id, root])
      t.ok(await content.has(payload), 'nobody has told this store yet')
      factory.heardErasure()
      for (const job of [paused, running]) {
        const ended = await world.until(job, ({ state }) => state === 'failed')
        t.same(ended.error, { code, message })
      }
      await t.rejects(factory.draft({ ...request, name: 'after' }), { code, message })
      const open = world.granted(provider)
      const looked = checkTable(record, table, draw, { registry, library, read, open })
      await t.rejects(looked, { code, message })
      await control(paused, 1)
      factory.heard(paused)
      await factory.settled()
      t.equal(await economy.read(jobsContract, 'held'), held, 'fees are given back')
    })
  },
)

t.test(
  'their payload never leaves the node for a server or a worker elsewhere',
  { timeout: 180_000 },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'openledger-private-'))
    const server = await natsFor(t, join(dir, 'nats'))
    if (!server) return
    t.teardown(async () => {
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    })
    const fabric = await openNatsFabric({ url: server.url, prefix: 'private' }, silentLog)
    const world = await openWorld(t, { fabric })
    const { id, payload, grant } = await withPrivate(world)
    await grant(provider)
    const request = { ...TINY, name: 'pilots', datanets: [{ datanet: id.toString() }] }
    const { manifest, id: job } = await world.submit(request)
    await world.factory.submit(manifest)
    const content = await ContentStore.open(join(dir, 'worker', 'content'))
    const worker = new TrainingWorker(
      { name: 'elsewhere', dir: join(dir, 'worker', 'jobs') },
      {
        ...{ fabric, base: world.base, content, log: silentLog, now: Date.now },
        open: world.granted(provider),
      },
    )
    worker.start()
    const done = await world.until(job, ({ state }) => state === 'done' || state === 'failed')
    await worker.stop()
    t.equal(done.error, null)
    const sealed = Buffer.from((await world.content.get(payload)).subarray(0, 64))
    const row = (PUBLIC[3] as Row).text
    for (const place of ['nats', 'worker']) {
      const isKept = (bytes: string | Buffer): boolean =>
        [...filesBelow(join(dir, place))].some((file) => file.includes(bytes))
      // A server writes its files when it has the time.
      while (!isKept(row)) await setImmediate()
      t.notOk(isKept(sealed), `the ${place} has a public row in its files, and no private one`)
    }
  },
)
