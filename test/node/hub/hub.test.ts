/** Datanets, adapters and the base by the Hub's HTTP; PyPI's own clients do it in `npm run test:tools`. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { keccakHex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { type Media, mediaOf } from '../../../node/datanet/media.ts'
import { decodeRows, type Row } from '../../../node/datanet/rows.ts'
import { parseHubPath } from '../../../node/hub/path.ts'
import { hubHandler } from '../../../node/hub/route.ts'
import { Registry } from '../../../node/model/registry.ts'
import { alice } from '../../support/chain.ts'
import { publishRows } from '../../support/datanet.ts'
import { operator } from '../../support/economy.ts'
import { BASE_DIR, openWorld } from '../../support/factory.ts'
import { png, wav } from '../../support/media.ts'

type Entry = { type: string; path: string; size: number }
type Info = { id: string; sha: string; siblings: { rfilename: string }[] }

t.test('a Datanet, a model trained on it and its base are repositories', async (t) => {
  const world = await openWorld(t)
  const { base, content, economy, factory } = world
  const { id, manifest } = await world.submit()
  world.worker('one').start()
  await factory.submit(manifest)
  const job = await world.until(id, ({ state }) => state === 'done' || state === 'failed')
  t.equal(job.error, null)

  const handler = hubHandler(
    {
      registry: new Registry(economy.chain),
      base,
      basePath: BASE_DIR,
      chainId: economy.chain.config.l2ChainId,
      readContent: (hash) => content.get(hash),
      sizeOf: (hash) => content.size(hash),
      log: silentLog,
    },
    async (_, response) => {
      response.end('not the hub')
    },
  )
  const server = createServer((request, response) => void handler(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const get = (path: string, init?: RequestInit) => fetch(url + path, init)
  const json = async <T>(path: string, init?: RequestInit) =>
    (await (await get(path, init)).json()) as T
  const code = async (path: string, init?: RequestInit) => {
    const { status, headers } = await get(path, init)
    return [status, headers.get('x-error-code')]
  }
  const datanet = `openledger/datanet-${world.datanet}`

  await t.test('what is there is listed', async (t) => {
    const ids = async (path: string) => (await json<{ id: string }[]>(path)).map((one) => one.id)
    t.same(await ids('/api/datasets'), [datanet])
    t.same(await ids('/api/models'), ['openledger/tiny', `openledger/${base.name}`])
    t.same(await ids('/api/models?search=TINY&limit=1'), ['openledger/tiny'])
    t.equal(await (await get('/datanets')).text(), 'not the hub')
  })

  await t.test('a version holds the contributions as they were given', async (t) => {
    const info = await json<Info>(`/api/datasets/${datanet}`)
    t.match(info, { id: datanet, sha: /^[0-9a-f]{40}$/ })
    const tree = await json<Entry[]>(`/api/datasets/${datanet}/tree/v1?recursive=True`)
    const files = tree.filter(({ type }) => type === 'file')
    t.same(
      files.map(({ path }) => path),
      info.siblings.map(({ rfilename }) => rfilename),
    )
    t.same(
      (await json<Entry[]>(`/api/datasets/${datanet}/tree/${info.sha}`)).map(({ path }) => path),
      ['data', 'README.md'],
    )
    const last = files.at(-1) as Entry
    const response = await get(`/datasets/${datanet}/resolve/${info.sha}/${last.path}`)
    const bytes = new Uint8Array(await response.arrayBuffer())
    t.equal(`"${keccakHex(bytes).slice(2)}"`, response.headers.get('etag'))
    t.equal(response.headers.get('x-repo-commit'), info.sha)
    t.equal(bytes.length, last.size)
    t.equal(decodeRows(bytes).length, 12)
    const card = await (await get(`/datasets/${datanet}/resolve/main/README.md`)).text()
    t.match(card, /^---\nlicense: "other"\n/)
    t.match(card, /Rows: 36 in 3 contributions/)
  })

  await t.test('a version is described as Croissant, each file by what it says', async (t) => {
    type Croissant = {
      conformsTo: string
      distribution: { contentUrl: string; sha256: string }[]
      recordSet: { field: { name: string }[] }[]
    }
    const found = await json<Croissant>(`/api/datasets/${datanet}/croissant`)
    t.equal(found.conformsTo, 'http://mlcommons.org/croissant/1.1')
    const [file] = found.distribution
    if (!file) throw new Error('no file')
    const bytes = new Uint8Array(await (await fetch(file.contentUrl)).arrayBuffer())
    t.equal(createHash('sha256').update(bytes).digest('hex'), file.sha256)
    t.equal(decodeRows(bytes).length, 36, 'the rows of all contributions, in their order')
    const some = await fetch(file.contentUrl, { headers: { range: 'bytes=100-2999' } })
    t.same(new Uint8Array(await some.arrayBuffer()), bytes.subarray(100, 3_000))
    t.same(
      found.recordSet.flatMap(({ field }) => field.map(({ name }) => name)),
      ['text'],
    )
    t.same(await json(`/api/datasets/${datanet}/croissant/v1`), found)
    t.same(await code('/api/models/openledger/tiny/croissant'), [404, 'EntryNotFound'])
  })

  await t.test('pictures and sounds are described with their addresses by hash', async (t) => {
    const media = [png(1, 1, [1, 1, 1]), wav(440, 0.01), png(1, 1, [2, 2, 2])].map((bytes) =>
      mediaOf(bytes, null),
    )
    const named = media.map((one) => ({ text: one.hash, media: one }))
    const rows: Row[] = [{ text: 'words' }, ...named, { text: 'again', media: media[0] as Media }]
    const lights = await publishRows(world, operator, { who: alice, rows })
    type Set = { '@id': string; dataType: string; data: Record<string, string | number>[] }
    const path = `/api/datasets/openledger/datanet-${lights}/croissant`
    const { recordSet } = await json<{ recordSet: (Set & { field: { name: string }[] })[] }>(path)
    t.same(
      recordSet[0]?.field.map(({ name }) => name),
      ['text', 'media'],
    )
    const [one, tone, two] = media as [Media, Media, Media]
    const shown = ({ hash, type, bytes }: Media, id: string) => ({
      [`${id}/hash`]: hash,
      [`${id}/contentUrl`]: `${url}/media/${hash}`,
      [`${id}/encodingFormat`]: type,
      [`${id}/contentSize`]: bytes,
    })
    t.match(recordSet.slice(1), [
      { dataType: 'sc:ImageObject', data: [shown(one, 'images'), shown(two, 'images')] },
      { dataType: 'sc:AudioObject', data: [shown(tone, 'sounds')] },
    ])
  })

  await t.test('paths are asked for by form and by JSON', async (t) => {
    const ask = (body: string, type: string) =>
      json<Entry[]>(`/api/datasets/${datanet}/paths-info/main`, {
        method: 'POST',
        body,
        headers: { 'content-type': type },
      })
    const form = await ask(
      'paths=README.md&paths=data&paths=none',
      'application/x-www-form-urlencoded',
    )
    t.same(
      form.map(({ type, path }) => `${type} ${path}`),
      ['file README.md', 'directory data'],
    )
    t.same(await ask('{"paths":["README.md","data"]}', 'application/json'), form)
    t.match(await ask('{"paths":7}', 'application/json'), { error: /not JSON with a list/ })
  })

  await t.test('an adapter is read whole and in ranges, and names its base', async (t) => {
    const path = '/openledger/tiny/resolve/main/adapter_config.json'
    const config = await json<{ base_model_name_or_path: string; peft_type: string }>(path)
    t.equal(config.peft_type, 'LORA')
    const head = await get('/openledger/tiny/resolve/main/adapter_model.safetensors', {
      method: 'HEAD',
    })
    const size = Number(head.headers.get('content-length'))
    t.ok(size > 100)
    const range = async (value: string) => {
      const { status, headers, ...rest } = await get(
        '/openledger/tiny/resolve/main/adapter_model.safetensors',
        {
          headers: { range: value },
        },
      )
      return [status, headers.get('content-range'), headers.get('content-length'), rest]
    }
    t.same((await range('bytes=8-15')).slice(0, 3), [206, `bytes 8-15/${size}`, '8'])
    t.same((await range('bytes=-4')).slice(0, 3), [
      206,
      `bytes ${size - 4}-${size - 1}/${size}`,
      '4',
    ])
    t.same((await range(`bytes=${size}-`)).slice(0, 2), [416, `bytes */${size}`])
    const served = await get(`/${config.base_model_name_or_path}/resolve/main/config.json`)
    t.equal(await served.text(), readFileSync(join(BASE_DIR, 'config.json'), 'utf8'))
    t.match(await json(`/api/models/${base.hash}`), { library_name: 'transformers' })
  })

  await t.test('what is not there is told apart as clients expect', async (t) => {
    t.same(await code('/api/models/openledger/nobody'), [404, 'RepoNotFound'])
    t.same(await code('/api/datasets/openledger/datanet-9'), [404, 'RepoNotFound'])
    t.same(await code('/api/datasets/elsewhere/datanet-1'), [404, 'RepoNotFound'])
    t.same(await code(`/api/datasets/${datanet}/revision/v2`), [404, 'RevisionNotFound'])
    t.same(await code(`/datasets/${datanet}/resolve/main/nothing`), [404, 'EntryNotFound'])
    t.same(await code(`/api/datasets/${datanet}/tree/main/nowhere`), [404, 'EntryNotFound'])
    t.same(await code(`/${base.name}/resolve/main/..%2f..%2fetc%2fpasswd`), [404, 'EntryNotFound'])
  })
})

t.test('paths of the Hub are told from all others', async (t) => {
  const file = { ask: 'file', kind: 'models', id: 'a/b', revision: 'main', path: 'c/d.json' }
  t.same(parseHubPath('/a/b/resolve/main/c/d.json'), file)
  t.same(parseHubPath('/datasets/a/raw/refs%2Fpr%2F1/x'), {
    ask: 'file',
    kind: 'datasets',
    id: 'a',
    revision: 'refs/pr/1',
    path: 'x',
  })
  t.match(parseHubPath('/api/models/tree/tree/main'), { ask: 'tree', id: 'tree' })
  for (const path of ['/', '/models', '/datasets/1', '/api', '/a/resolve/main/%zz'])
    t.equal(parseHubPath(path), null, path)
})
