/** The npm `openai` SDK, unmodified, against the doors; who pays is in paying.test.ts. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Template } from '@huggingface/jinja'
import type OpenAI from 'openai'
import { APIError } from 'openai'
import t, { type Test } from 'tap'
import { decodeRequest } from '../../../node/attribution/request.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { BASE_DIR } from '../../support/factory.ts'
import { receipts } from '../../support/model.ts'
import { openService, RATES } from '../../support/service.ts'

type Row = { readonly row: number; readonly start: number; readonly length: number }

const CHAT = [
  { role: 'developer' as const, content: 'Be brief.' },
  { role: 'user' as const, content: [{ type: 'text' as const, text: 'Fellow citizens,' }] },
]

async function refused(t: Test, work: Promise<unknown>): Promise<APIError> {
  const error = await work.then(
    () => null,
    (cause: unknown) => cause,
  )
  if (!(error instanceof APIError)) throw new Error(`not an API error: ${String(error)}`)
  t.type(error.error, 'object', 'an error in OpenAI’s shape')
  return error
}

t.test('the unmodified SDK lists, asks, streams and is refused in the form it knows', async (t) => {
  const world = await openService(t, { freeTokens: 100_000 })
  const { client, service, model, economy, url } = world
  const { base } = service.library
  const ask = (fields: object = {}) =>
    client.completions.create({
      model: 'tiny',
      prompt: 'Fellow citizens',
      max_tokens: 6,
      ...fields,
    })

  await t.test('models have a root, a parent and a price', async (t) => {
    const list = (await client.models.list()).data
    t.same(
      list.map(({ id }) => id),
      ['tiny', base.name],
    )
    t.match(list[0], {
      owned_by: model.owner,
      root: model.adapterHash,
      parent: base.name,
      price: { input: `${RATES.rateIn}`, output: `${RATES.rateOut}` },
    })
    t.match(await client.models.retrieve(base.name), { root: base.hash, parent: null })
    t.match(await client.models.retrieve(`${base.name}:tiny`), { id: 'tiny' })
    t.match(await refused(t, client.models.retrieve('nobody')), {
      status: 404,
      code: 'model_not_found',
      param: 'model',
    })
  })

  await t.test('an answer has its text, counted tokens and receipt, and settles', async (t) => {
    const answer = await client.chat.completions.create({
      model: `${base.name}:tiny`,
      messages: CHAT,
      max_completion_tokens: 5,
      n: 1,
      user: 'somebody',
    })
    const [choice] = answer.choices
    t.match(choice, { index: 0, message: { role: 'assistant', content: String } })
    const prompt = base.model.encode(renderedChat(base.chatTemplate))
    const { usage } = answer
    t.equal(usage?.prompt_tokens, prompt.length, 'the committed tokenizer counts')
    t.equal(usage?.total_tokens, prompt.length + (usage?.completion_tokens ?? 0))
    const { openledger } = answer as unknown as { openledger: { receipt: { fee: string } } }
    const fee =
      RATES.rateIn * BigInt(prompt.length) + RATES.rateOut * BigInt(usage?.completion_tokens ?? 0)
    t.equal(openledger.receipt.fee, `${fee}`)
    t.notOk(await economy.read(receipts, 'isSettled', [answer.id as Hex]))
    await world.settle()
    t.ok(await economy.read(receipts, 'isSettled', [answer.id as Hex]))
  })

  await t.test('a stream gives the same text, and the receipt in its last event', async (t) => {
    const whole = await ask({ seed: 7, temperature: 0.8 })
    const stream = await client.completions.create({
      model: 'tiny',
      prompt: [...base.model.encode('Fellow citizens')],
      max_tokens: 6,
      seed: 7,
      temperature: 0.8,
      stream: true,
      stream_options: { include_usage: true },
    })
    const events = []
    for await (const event of stream) events.push(event)
    t.equal(events.map(({ choices }) => choices[0]?.text ?? '').join(''), whole.choices[0]?.text)
    const last = events.at(-1)
    t.same(last?.choices, [])
    t.match(last, { usage: whole.usage, openledger: { receipt: { outputCommit: /^0x/ } } })
    t.equal(events.at(-2)?.choices[0]?.finish_reason, whole.choices[0]?.finish_reason)

    const chat = client.chat.completions.stream({ model: 'tiny', messages: CHAT, max_tokens: 4 })
    const first = (await chat[Symbol.asyncIterator]().next()).value
    t.equal(first?.choices[0]?.delta.role, 'assistant')
    t.type((await chat.finalChatCompletion()).choices[0]?.message.content, 'string')
  })

  await t.test('an answer ends before a stop text, and what is owed ends with it', async (t) => {
    const whole = (await ask({ max_tokens: 12 })).choices[0]?.text as string
    const stop = whole.slice(3, 6)
    const cut = await ask({ max_tokens: 12, stop: ['never there', stop] })
    t.equal(cut.choices[0]?.text, whole.slice(0, whole.indexOf(stop)))
    t.equal(cut.choices[0]?.finish_reason, 'stop')
    t.ok((cut.usage?.completion_tokens ?? 0) < 12)
    // The receipt is that of a request with this limit: whoever runs it again gets these tokens.
    const { openledger } = cut as unknown as {
      openledger: { receipt: { requestId: Hex; tokensOut: number } }
    }
    const request = decodeRequest(await world.content.get(openledger.receipt.requestId))
    t.equal(request.sampler.maxTokens, openledger.receipt.tokensOut)
    const streamed = await client.completions.create({
      model: 'tiny',
      prompt: 'Fellow citizens',
      max_tokens: 12,
      stop,
      stream: true,
    })
    let text = ''
    for await (const { choices } of streamed) text += choices[0]?.text ?? ''
    t.equal(text, cut.choices[0]?.text, 'nothing of the stop text is shown')
  })

  await t.test('what is wrong is named, with its parameter and a stable code', async (t) => {
    const table: [object, object][] = [
      [{ model: 'nobody' }, { status: 404, code: 'model_not_found' }],
      [{ prompt: '' }, { status: 400, code: 'invalid_value', param: 'prompt' }],
      [{ prompt: ['a', 'b'] }, { status: 400, param: 'prompt' }],
      [
        { max_tokens: 0 },
        { status: 400, param: 'max_tokens', message: /it must be an integer from 1/ },
      ],
      [{ temperature: 11 }, { status: 400, param: 'temperature' }],
      [{ n: 2 }, { status: 400, param: 'n', message: /one answer/ }],
      [{ logprobs: 3 }, { status: 400, param: 'logprobs' }],
      [{ stop: ['a', 'b', 'c', 'd', 'e'] }, { status: 400, param: 'stop' }],
      [
        { prompt: [2 ** 31] },
        { status: 400, code: 'inference-request', message: /outside the vocabulary/ },
      ],
      [{ max_tokens: 4_096 }, { status: 400, code: 'context_length_exceeded' }],
    ]
    for (const [fields, expected] of table) t.match(await refused(t, ask(fields)), expected)
    const tools = client.chat.completions.create({
      model: 'tiny',
      messages: CHAT,
      tools: [{ type: 'function', function: { name: 'f' } }],
    })
    t.match(await refused(t, tools), { status: 400, param: 'tools' })
    const image = client.chat.completions.create({
      model: 'tiny',
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }],
    })
    t.match(await refused(t, image), { status: 400, param: 'messages[0]' })
    const late = client.completions.create(
      { model: 'tiny', prompt: 'Hi' },
      { headers: { 'x-openledger-deadline-ms': '5' } },
    )
    t.match(await refused(t, late), { status: 400, message: /100 to 3600000/ })
    t.equal((await fetch(`${url}/nothing`)).status, 404)
    t.equal((await fetch(`${url}/completions`)).status, 405)
  })

  await t.test(
    'an operator loads and unloads adapters; the base answers beside them',
    async (t) => {
      const load = (body: object) =>
        fetch(`${url}/load_lora_adapter`, { method: 'POST', body: JSON.stringify(body) })
      const dirs = service.library
      const cache = readdirSync(dirs.cacheDir)[0] as string
      const path = join(dirs.cacheDir, cache)
      const loaded = await load({ lora_name: 'mine', lora_path: path })
      t.match(await loaded.text(), "Success: LoRA adapter 'mine' added successfully.")
      t.match(await (await load({ lora_name: 'mine', lora_path: path })).json(), {
        error: { code: 'adapter-known' },
      })
      t.match(await (await load({ lora_name: 'bad', lora_path: BASE_DIR })).json(), {
        error: { type: String },
      })
      t.match(await client.models.retrieve('mine'), { root: path, parent: base.name })
      const mine = await ask({ model: 'mine' })
      t.equal(
        mine.choices[0]?.text,
        (await ask()).choices[0]?.text,
        'the same adapter, the same text',
      )
      t.match(mine, { openledger: null }, 'nothing is owed for it')
      t.type((await ask({ model: base.name })).choices[0]?.text, 'string')
      const unload = await fetch(`${url}/unload_lora_adapter`, {
        method: 'POST',
        body: JSON.stringify({ lora_name: 'mine' }),
      })
      t.match(await unload.text(), 'removed successfully')
      t.match(await refused(t, ask({ model: 'mine' })), { status: 404 })
      t.equal((await load({ lora_name: 'tiny' })).status, 200, 'a registered one is kept in memory')
      t.equal(service.library.engine.stats().pinned, 1)
      const proxied = await fetch(`${url}/load_lora_adapter`, {
        method: 'POST',
        headers: { 'x-forwarded-for': '203.0.113.9' },
        body: '{}',
      })
      t.equal(proxied.status, 403)
    },
  )

  await t.test('embeddings are those of the base, to the bit the same each time', async (t) => {
    const input = ['The harvest', 'The navy', 'The harvest']
    const { data, usage } = await client.embeddings.create({ model: base.name, input })
    t.equal(data[0]?.embedding.length, base.model.config.hidden_size)
    t.same(data[0]?.embedding, data[2]?.embedding)
    t.notSame(data[0]?.embedding, data[1]?.embedding)
    const ids = input.map((text) => [...base.model.encode(text)])
    t.equal(usage.prompt_tokens, ids.flat().length)
    const form = { model: base.name, encoding_format: 'float' as const }
    const byIds = await client.embeddings.create({ ...form, input: ids })
    t.same(byIds.data[0]?.embedding, data[0]?.embedding, 'by ids, and as numbers')
    const length = data[0]?.embedding.reduce((sum, x) => sum + x * x, 0) ?? 0
    t.ok(Math.abs(length - 1) < 1e-5)
    const adapter = client.embeddings.create({ model: 'tiny', input })
    t.match(await refused(t, adapter), { status: 404, param: 'model' })
    t.match(await refused(t, client.embeddings.create({ ...form, input, dimensions: 3 })), {
      status: 400,
      param: 'dimensions',
    })
  })

  await t.test('rows are retrieved into a chat, and paid for', async (t) => {
    const asked = {
      model: 'tiny',
      messages: CHAT,
      max_tokens: 4,
      retrieval: { top: 2, max_tokens: 48 },
    }
    const plain = await client.chat.completions.create({ ...asked, retrieval: false } as never)
    const answer = await client.chat.completions.create(asked as never)
    const { retrieved } = (answer as unknown as { openledger: { retrieved: Row[] } }).openledger
    t.ok(retrieved.length > 0)
    const { usage } = answer as OpenAI.ChatCompletion
    const before = (plain as OpenAI.ChatCompletion).usage?.prompt_tokens ?? 0
    const rows = retrieved.reduce((sum, { length }) => sum + length, 0)
    t.ok((usage?.prompt_tokens ?? 0) >= before + rows, 'its tokens are counted')
    const id = (answer as OpenAI.ChatCompletion).id as Hex
    await world.settle()
    t.equal(await economy.read(receipts, 'isSettled', [id]), true)
    for (const [retrieval, message] of [
      ['yes', /'retrieval' must be true or \{top, max_tokens\}/],
      [{ top: 99 }, /'top' is 99/],
    ] as const)
      t.match(await refused(t, ask({ retrieval })), { status: 400, message })
    t.match(await refused(t, ask({ retrieval: true, prompt: [1, 2] })), { param: 'prompt' })
  })

  await t.test('what was served is counted', async (t) => {
    const { totals } = service
    t.ok(totals.answers > 5 && totals.tokensOut > totals.answers)
    t.equal(totals.finished.error > 0, true)
    t.same(service.load.view(true), { requests: 0, adapters: [] })
  })
})

/** As the door must have seen it: OpenAI's developer is a template's system, parts of text are one text. */
function renderedChat(template: string): string {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Fellow citizens,' },
  ]
  return new Template(template).render({ messages, add_generation_prompt: true })
}
