/** Blobs kept, dropped and served on; how a beacon node is asked. */
import { readdir } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { type Hex, toHex } from '../../../node/base/bytes.ts'
import { encodeBlob } from '../../../node/derive/blob.ts'
import { DirectoryBlobArchive } from '../../../node/l1/blob-archive.ts'
import { serveBlobs } from '../../../node/l1/blob-route.ts'
import { BlobSource } from '../../../node/l1/blobs.ts'
import { blobVersionedHash } from '../../../node/l1/kzg.ts'
import { BLOB_BYTES, BLOBS_PER_ANSWER_MAX } from '../../../node/l1/options.ts'

const block = { number: 77n, timestamp: 1_000_060n }
const blobs = [1, 2, 3].map((n) => encodeBlob(Uint8Array.of(n, n)))
const hashes = await Promise.all(blobs.map(blobVersionedHash))
const [one, two, three] = hashes as [Hex, Hex, Hex]
const unknown: Hex = `0x01${'ee'.repeat(31)}`

async function serve(t: { teardown(fn: () => void): void }, listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const sourceOf = (...endpoints: string[]) => new BlobSource(null, { endpoints, timeoutMs: 5000 })

t.test('another node reads blobs from the archive of this one as from a beacon node', async (t) => {
  const home = t.testdir()
  const archive = new DirectoryBlobArchive(join(home, 'blobs'))
  await archive.put(one, blobs[0] as Uint8Array)
  await archive.put(three, blobs[2] as Uint8Array)
  const url = await serve(t, (request, response) => void serveBlobs(archive, request, response))
  t.same(await sourceOf(url).blobs(block, [three, one, three]), [blobs[2], blobs[0], blobs[2]])
  await t.rejects(sourceOf(url).blobs(block, [one, two]), { code: 'l1-blob-unavailable' })
  // Two archives that hold different blobs complete each other.
  const other = new DirectoryBlobArchive(join(home, 'other'))
  await other.put(two, blobs[1] as Uint8Array)
  const second = await serve(t, (request, response) => void serveBlobs(other, request, response))
  t.same(await sourceOf(url, second).blobs(block, hashes), blobs)
})

t.test(
  'the archive route answers like a beacon node and says what is wrong with a request',
  async (t) => {
    const archive = new DirectoryBlobArchive(join(t.testdir(), 'blobs'))
    await archive.put(one, blobs[0] as Uint8Array)
    const url = await serve(t, (request, response) => void serveBlobs(archive, request, response))
    const ask = async (path: string, method = 'GET') => {
      const response = await fetch(`${url}/eth/v1/beacon/blobs/${path}`, { method })
      return [response.status, await response.json()]
    }
    const data = [toHex(blobs[0] as Uint8Array)]
    const found = { execution_optimistic: false, finalized: false, data }
    t.same(await ask(`77?versioned_hashes=${one},${unknown}`), [200, found])
    t.same(
      await ask(
        `head?versioned_hashes=${one}&versioned_hashes=${one.toUpperCase().replace('0X', '0x')}`,
      ),
      [200, found],
    )
    t.match(await ask(`77?versioned_hashes=${unknown}`), [404, { code: 404, message: /archived/ }])
    t.match(await ask('77'), [400, { message: /1 to 32 of 32 bytes/ }])
    t.match(await ask('77?versioned_hashes=../../db'), [400, { message: /not '..\/..\/db'/ }])
    const many = new Array(BLOBS_PER_ANSWER_MAX + 1).fill(one).join(',')
    t.match(await ask(`77?versioned_hashes=${many}`), [400, {}])
    t.match(await ask(`nothing?versioned_hashes=${one}`), [400, { message: /block id 'nothing'/ }])
    t.match(await ask(`77?versioned_hashes=${one}`, 'POST'), [405, {}])
  },
)

t.test('over its limit the archive drops the oldest, also after a restart', async (t) => {
  const path = join(t.testdir(), 'blobs')
  const limit = { bytesMax: 2 * BLOB_BYTES + 1 }
  const archive = new DirectoryBlobArchive(path, limit)
  await archive.put(one, blobs[0] as Uint8Array)
  await archive.put(two, blobs[1] as Uint8Array)
  await archive.put(one, blobs[0] as Uint8Array)
  const again = new DirectoryBlobArchive(path, limit)
  await again.put(three, blobs[2] as Uint8Array)
  t.equal(await again.get(two), null, 'put before the second time of the first')
  t.same(await again.get(one), blobs[0])
  t.same(await again.get(three), blobs[2])
  t.equal((await readdir(path)).length, 2)
})

t.test('a beacon chain is asked by slot, a source without a clock by block number', async (t) => {
  const paths: string[] = []
  const spec: Record<string, unknown> = {
    '/eth/v1/config/spec': { SECONDS_PER_SLOT: '12' },
    '/eth/v1/beacon/genesis': { genesis_time: '1000000' },
  }
  const beacon =
    (known: typeof spec): RequestListener =>
    (request, response) => {
      const path = (request.url ?? '').split('?')[0] as string
      paths.push(path)
      const data = path.includes('/blobs/') ? [toHex(blobs[0] as Uint8Array)] : known[path]
      if (data) response.end(JSON.stringify({ data }))
      else response.writeHead(404).end('{}')
    }
  const source = sourceOf(await serve(t, beacon(spec)))
  await source.blobs(block, [one])
  await source.blobs({ ...block, timestamp: 1_000_072n }, [one])
  t.same(paths.splice(0), [
    '/eth/v1/config/spec',
    '/eth/v1/beacon/genesis',
    '/eth/v1/beacon/blobs/5',
    '/eth/v1/beacon/blobs/6',
  ])
  await sourceOf(await serve(t, beacon({}))).blobs(block, [one])
  t.same(paths, ['/eth/v1/config/spec', '/eth/v1/beacon/blobs/77'])
})
