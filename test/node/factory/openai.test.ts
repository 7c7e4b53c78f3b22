/** The npm `openai` SDK, unmodified, against `/v1/files` and `/v1/fine_tuning`. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import OpenAI, { toFile } from 'openai'
import t, { type Test } from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { FileTable, rowsOfFile } from '../../../node/factory/openai/files.ts'
import { createFineTuningHandler } from '../../../node/factory/openai/route.ts'
import { openWorld, type World } from '../../support/factory.ts'

const CHAT = Array.from({ length: 12 }, (_, i) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: `What of canal ${i}?` },
      { role: 'assistant', content: `Canal ${i} was opened in the year ${1800 + i}.` },
    ],
  }),
).join('\n')

async function openClient(t: Test): Promise<{ world: World; client: OpenAI; url: string }> {
  const world = await openWorld(t)
  const { factory, fabric, content, base } = world
  const files = new FileTable({ records: fabric.records, content })
  const handler = createFineTuningHandler({
    factory,
    files,
    base,
    log: silentLog,
    now: Date.now,
    admits: ({ headers }) => headers.authorization === 'Bearer signed-in',
  })
  const server = createServer((req, res) => void handler(req, res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  return { world, url, client: new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 }) }
}

t.test(
  'a file is uploaded, a model is fine-tuned on it, and all of it can be followed',
  async (t) => {
    const { world, client } = await openClient(t)
    const file = await client.files.create({
      file: await toFile(Buffer.from(CHAT), 'canals.jsonl'),
      purpose: 'fine-tune',
    })
    t.match(file, { object: 'file', filename: 'canals.jsonl', bytes: CHAT.length })
    t.equal(await (await client.files.content(file.id)).text(), CHAT)
    t.same(
      (await client.files.list()).data.map(({ id }) => id),
      [file.id],
    )

    const created = await client.fineTuning.jobs.create({
      model: world.base.name,
      training_file: file.id,
      suffix: 'canals',
      seed: 3,
      method: {
        type: 'supervised',
        supervised: { hyperparameters: { n_epochs: 1, batch_size: 4 } },
      },
      metadata: { why: 'test' },
    })
    t.match(created, {
      object: 'fine_tuning.job',
      status: 'queued',
      training_file: file.id,
      seed: 3,
    })
    t.match(created.metadata, { why: 'test' })
    const paused = await client.fineTuning.jobs.pause(created.id)
    t.equal(paused.status, 'paused')
    const resumed = await client.fineTuning.jobs.resume(created.id)
    t.equal(resumed.status, 'queued')
    world.worker('one').start()
    const id = `0x${created.id.slice('ftjob-'.length)}` as const
    const record = await world.until(id, ({ state }) => state === 'done' || state === 'failed')
    t.equal(record.error, null)

    const job = await client.fineTuning.jobs.retrieve(created.id)
    t.match(job, { status: 'succeeded', fine_tuned_model: /^ft:.+:canals:/ })
    t.ok((job.trained_tokens ?? 0) > 0)
    const messages: string[] = []
    for await (const event of client.fineTuning.jobs.listEvents(created.id, { limit: 2 }))
      messages.push(event.message)
    t.match(messages[0], /^New fine-tuned model created/)
    t.match(messages.at(-1), /queued/, 'every page was read')
    t.ok(messages.some((message) => /^Step 1\/\d+: training loss=/.test(message)))
    const checkpoints = await client.fineTuning.jobs.checkpoints.list(created.id)
    t.match(checkpoints.data[0], { object: 'fine_tuning.job.checkpoint', step_number: Number })
    t.same(
      (await client.fineTuning.jobs.list()).data.map((one) => one.id),
      [created.id],
    )
    t.match(await client.files.delete(file.id), { deleted: true })
  },
)

t.test('a Datanet that stands is trained on by name; a job can be cancelled', async (t) => {
  const { world, client } = await openClient(t)
  const job = await client.fineTuning.jobs.create({
    model: world.base.name,
    training_file: `datanet:${world.datanet}:1`,
  })
  const cancelled = await client.fineTuning.jobs.cancel(job.id)
  t.equal(cancelled.status, 'cancelled')
  await t.rejects(client.fineTuning.jobs.cancel(job.id), /400 .*is cancelled already/)
})

t.test('what is wrong is said in OpenAI’s way', async (t) => {
  const { world, client, url } = await openClient(t)
  const model = world.base.name
  const create = (training_file: string, change: object = {}) =>
    client.fineTuning.jobs.create({ model, training_file, ...change })
  await t.rejects(create('file-000000000000000000000000'), { status: 404, code: 'not-found' })
  await t.rejects(create('datanet:77'), { status: 400, message: /no Datanet 77/ })
  await t.rejects(create('datanet:1', { model: 'gpt-9' }), {
    status: 404,
    message: /no model 'gpt-9'/,
  })
  await t.rejects(create('datanet:1', { method: { type: 'dpo' } }), { message: /'supervised' is/ })
  await t.rejects(create('datanet:1', { hyperparameters: { n_epochs: 0 } }), {
    message: /n_epochs/,
  })
  await t.rejects(client.fineTuning.jobs.retrieve('ftjob-none'), /404 Could not find/)
  const upload = (purpose: string) =>
    client.files.create({ file: new File(['{}'], 'x.jsonl'), purpose: purpose as 'fine-tune' })
  await t.rejects(upload('fun'), { status: 400, message: /'purpose' is 'fun'/ })
  const bad = await upload('fine-tune')
  await t.rejects(create(bad.id), { status: 400, message: /line 1: needs 'messages'/ })
  for (const [header, why] of [
    ['x-forwarded-for', 'not through a proxy'],
    ['origin', 'not from a page in a browser'],
  ] as const) {
    const { status } = await fetch(`${url}/files`, { headers: { [header]: 'http://10.0.0.1' } })
    t.equal(status, 403, why)
  }
  const headers = { 'x-forwarded-for': '10.0.0.1', authorization: 'Bearer signed-in' }
  t.equal((await fetch(`${url}/files`, { headers })).status, 200, 'but whoever is admitted')
  t.throws(() => rowsOfFile(Buffer.from('{"text":"a"}\nnope'), ''), /line 2: is not JSON/)
  t.equal((await world.factory.jobs.list()).length, 0)
})
