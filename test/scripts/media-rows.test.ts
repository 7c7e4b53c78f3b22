/**
 * A picture and a sound given as rows, from a folder to the wei: contributed by the command line's own steps, seen and judged
 * by a validator, published, retrieved into a question by their captions, paid, and done again by the prover.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { DatanetValidation } from '../../genesis/contracts.generated.ts'
import type { Explained } from '../../node/attribution/explain.ts'
import { decodeLeaves } from '../../node/attribution/leaves.ts'
import type { ReceiptLedger } from '../../node/attribution/ledger.ts'
import { type Hex, keccakHex } from '../../node/base/bytes.ts'
import { NO_QUORUM } from '../../node/datanet/licence.ts'
import { mediaRoute } from '../../node/datanet/media-route.ts'
import { prepareData } from '../../node/factory/data.ts'
import { RowPlaces } from '../../node/factory/places.ts'
import { readReport } from '../../node/factory/report.ts'
import type { RpcContext } from '../../node/rpc/context.ts'
import { COST } from '../../node/rpc/method.ts'
import { attributionMethods } from '../../node/rpc/methods/attribution.ts'
import { checkReceipt } from '../../prover/check.ts'
import { resum } from '../../prover/resum.ts'
import type { Call, Command } from '../../scripts/cli/command.ts'
import { commitFile, revealPending } from '../../scripts/datanet/contribute.ts'
import { publishVersion } from '../../scripts/datanet/publish.ts'
import { reviewCommands } from '../../scripts/datanet/review.ts'
import { DATANETS } from '../../scripts/datanet/session.ts'
import { ETHER, walletOf } from '../support/chain.ts'
import { openDatanet } from '../support/datanet.ts'
import { carol, operator, provider } from '../support/economy.ts'
import { openWorld, TINY } from '../support/factory.ts'
import { openMarket } from '../support/market.ts'
import { png, wav } from '../support/media.ts'
import { servePeople } from '../support/person.ts'
import { ResultCheck } from '../support/result-check.ts'

const VALIDATION = { address: OPENLEDGER.datanetValidation, abi: DatanetValidation.abi }
const WINDOW_SECONDS = 4
const CAPTION = 'A white lighthouse stands on the black cliff above the old harbour.'
const TRANSCRIPT = 'Two strokes of the fog bell, then silence over the water.'

t.test('a picture and a sound are given, judged, retrieved and paid', async (t) => {
  const world = await openWorld(t)
  const { economy, content, dir } = world
  const giver = walletOf(9)
  await economy.pay(provider, giver.address, ETHER)
  const quorum = {
    ...NO_QUORUM,
    validators: [carol.address],
    threshold: 1,
    scoreMin: 5_000,
    commitSeconds: WINDOW_SECONDS,
    revealSeconds: WINDOW_SECONDS,
  }
  const schema = '{"text":"string","media":"any"}'
  const id = Number(await openDatanet(economy, operator, { schema, quorum }))
  const read = (hash: Hex): Promise<Uint8Array> => content.get(hash)
  const { url, rpc, person } = await servePeople(t, economy, {
    content,
    state: join(dir, 'state'),
    routes: [mediaRoute({ content, readContent: read }, COST.read)],
  })

  const [picture, sound] = [png(64, 48, [20, 40, 160]), wav(440, 0.25)]
  const folder = join(dir, 'folder')
  mkdirSync(join(folder, 'sounds'), { recursive: true })
  const files: Record<string, string | Buffer> = {
    'a-fake.webp': png(2, 2, [0, 0, 0]),
    'a-fake.txt': 'Called what it is not.',
    'b-drawing.svg': '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    'c-lonely.png': png(1, 1, [9, 9, 9]),
    'lighthouse.png': picture,
    'lighthouse.txt': `${CAPTION}\n`,
    'sounds/bell.txt': TRANSCRIPT,
    'sounds/bell.wav': sound,
  }
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
  const call = { flags: {}, switches: new Set(), args: [] } as unknown as Call
  const me = person(giver)
  const sender = async (of: Hex[]): Promise<void> => {
    await me.wallet.send({ ...DATANETS, functionName: 'commit', args: [id, of] })
  }
  const committed = await commitFile(
    call,
    { path: folder, datanetId: id, sender, readers: null },
    me,
  )
  t.equal(committed.rows, 2)
  t.match(committed.listed, [
    { row: 1, reason: /a-fake.webp: its media is called image\/webp; its bytes are image\/png/ },
    { row: 2, reason: /b-drawing.svg: is no picture or sound/ },
    { row: 3, reason: /c-lonely.png: has no caption: write it into c-lonely.txt/ },
  ])
  const hash = keccakHex(picture)
  t.notOk(await content.has(hash), 'nobody sees it before the reveal')
  const [rowsRoot] = await revealPending(id, me, async (contribution) => {
    t.equal(Number(contribution.byteCount) > picture.length + sound.length, true)
    await me.wallet.send({ ...DATANETS, functionName: 'reveal', args: [contribution] })
  })

  await t.test('a validator sees it, safely served, and judges', async (t) => {
    const queue = reviewCommands.find(({ name }) => name === 'datanet queue') as Command
    const said = t.capture(process.stdout, 'write')
    await queue.run({ ...call, args: [String(id)], flags: { url } })
    const lines = said().map(({ args }) => String(args[0]))
    said.restore()
    t.match(lines.join(''), new RegExp(`^${rowsRoot} .* 2 rows, not judged\n$`))
    const shown = await fetch(`${url}/media/${hash}`)
    t.match(Object.fromEntries(shown.headers), {
      'content-type': 'image/png',
      'x-content-type-options': 'nosniff',
      'content-security-policy': /default-src 'none'.*sandbox/,
    })
    t.ok(picture.equals(Buffer.from(await shown.arrayBuffer())))
    const part = await fetch(`${url}/media/${keccakHex(sound)}`, {
      headers: { range: 'bytes=0-3' },
    })
    t.equal(part.status, 206)
    t.match([part.headers.get('content-type'), await part.text()], ['audio/wav', 'RIFF'])
    const script = await content.put(Buffer.from(files['b-drawing.svg'] as string))
    t.equal((await fetch(`${url}/media/${script}`)).status, 415, 'no other content is served so')
    t.same(await rpc('openledger_getMedia', script), { type: null, bytes: 71 })
    for (const [type, status] of [
      ['image/png', 200],
      ['image/jpeg', 415],
      ['text/html', 415],
    ] as const) {
      const headers = { 'content-type': type }
      const sent = await fetch(`${url}/media`, {
        method: 'POST',
        headers,
        body: new Uint8Array(picture),
      })
      t.equal(sent.status, status, type)
    }
    const salt = keccakHex(picture)
    const ballot = [id, rowsRoot, 0, carol.address, 9_000, salt]
    const commitment = await economy.read(VALIDATION, 'scoreCommitment', ballot)
    await economy.send(carol, VALIDATION, 'commitScore', [id, rowsRoot, commitment])
    await economy.pass(BigInt(WINDOW_SECONDS))
    await economy.send(carol, VALIDATION, 'revealScore', [id, rowsRoot, 9_000, salt])
    await economy.pass(BigInt(WINDOW_SECONDS))
    await economy.send(carol, VALIDATION, 'conclude', [id, rowsRoot])
  })

  const published = await publishVersion(id, person(operator), { withPrivate: false })
  t.match(published, { version: 1, rowCount: 2, unread: [], copies: 0 })
  t.match(await rpc('openledger_getRowProof', id, 1, 0), {
    row: { text: CAPTION, media: { hash, type: 'image/png', bytes: picture.length } },
    tier: 'retrieval',
    contributor: giver.address,
  })

  const market = await openMarket(t, world, {
    datanets: [{ datanet: world.datanet.toString() }, { datanet: id.toString() }],
    attribution: { ...TINY.attribution, spanTokens: 2 },
  })
  const { settled } = await market.ask(CAPTION, 4, { top: 2, tokens: 64, at: 0 })
  const paid = settled.contributors.find(({ account }) => account === giver.address)
  t.ok(paid && paid.amount > 0n, 'who gave the picture is paid')
  const { library, registry, traces } = market
  const modules = {
    library,
    registry,
    content: read,
    traceOf: async (of: Hex) => traces.get(of) ?? null,
  }
  t.equal(await checkReceipt(settled, modules), null, 'and the prover agrees')

  const methods = attributionMethods({
    ledger: { settled: async () => {}, get: async () => settled } as unknown as ReceiptLedger,
    models: { registry, library, readContent: read },
    places: new RowPlaces(read),
  })
  const name = 'openledger_getAttribution'
  const told = await methods[name]?.handler({} as RpcContext, [settled.hash], null)
  t.equal(new ResultCheck(methods).fault(name, told), null)
  const { retrieved, contributors } = told as unknown as Explained
  t.match(retrieved[0], {
    datanet: id.toString(),
    version: 1,
    row: 0,
    tier: 'retrieval',
    contributor: giver.address,
  })
  t.match(
    contributors.find(({ account }) => account === giver.address),
    { gradient: '0', span: '0' },
    'by retrieval alone',
  )

  await t.test('nothing is trained on it, and a leaf that says so is refuted', async (t) => {
    const { job } = market
    const data = await prepareData(world.base.model, job.manifest, read)
    t.equal(data.rows.length - data.indexed.length, 2)
    const { leavesHash } = await readReport(job.result?.report as Hex, read)
    const leaves = decodeLeaves(await read(leavesHash))
    const { k } = leaves
    const at = data.indexed.length * k
    t.ok(leaves.sketches.subarray(at).every((entry) => entry === 0))
    const last = leaves.owners.length - 1
    const sketches = leaves.sketches.slice()
    sketches[last * k] = 1
    const table = {
      leavesRoot: job.result?.leavesRoot as Hex,
      accounts: data.contributors,
      multipliers: new Uint32Array(data.contributors.length),
      sums: new Int32Array(data.contributors.length * k),
      k,
    }
    const { leavesRootOf } = await import('../../node/attribution/leaves.ts')
    const lie = { ...leaves, sketches }
    t.match(resum({ ...table, leavesRoot: leavesRootOf(lie) }, lie, data), {
      field: 'row of media',
      index: last,
    })
  })

  await t.test('a version leaves out rows whose picture is not what they say', async (t) => {
    await content.remove(hash)
    await t.rejects(publishVersion(id, person(operator), { withPrivate: false }), {
      code: 'datanet-empty',
    })
  })
})
