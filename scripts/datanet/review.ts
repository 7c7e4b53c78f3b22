/**
 * `openledger datanet queue|review`: what a validator looks at before a score: which contributions there are, and the rows of
 * one, with its pictures and sounds as files.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeEventTopics } from 'viem'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { ENDINGS, type Media } from '../../node/datanet/media.ts'
import { decodeRows, encodeRows, rowsRoot as rootOf } from '../../node/datanet/rows.ts'
import type { Command } from '../cli/command.ts'
import { KEY_FLAGS, NODE_FLAGS, nodeOf, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import type { Rpc } from '../cli/rpc.ts'
import { fetchMedia, judgeMedia } from './media.ts'
import { contentOf, privateRows } from './private.ts'
import { DATANETS, idOf, logRanges, rowsRootOf } from './session.ts'

type Given = {
  readonly contributor: Hex
  readonly rowsRoot: Hex
  readonly contentHash: Hex
  readonly rowCount: number
  readonly isPrivate: boolean
  readonly isErased: boolean
  readonly validation: {
    readonly outcome: string
    readonly score: number
    readonly openedAt: string
  }
}

const queue: Command = {
  name: 'datanet queue',
  summary:
    'Lists the contributions of a Datanet by rows root, newest first, and how each was judged',
  args: '<id>',
  flags: NODE_FLAGS,
  run: async (call) => {
    const id = idOf(call.args[0])
    const { rpc } = nodeOf(call)
    const found: Given[] = []
    for (const rowsRoot of (await revealedRoots(id, rpc)).reverse()) {
      const given = await rpc<Given | null>('openledger_getContribution', id, rowsRoot)
      if (given) found.push(given)
    }
    const lines = found.map(
      ({ rowsRoot, contributor, rowCount, isPrivate, isErased, validation }) =>
        `${rowsRoot}  ${contributor}  ${rowCount} ${isPrivate ? 'private rows' : 'rows'}, ${
          isErased ? 'erased' : outcomeOf(validation)
        }`,
    )
    show(call, found, lines.length > 0 ? lines : ['nothing is contributed yet'])
    return undefined
  },
}

const review: Command = {
  name: 'datanet review',
  summary: 'Shows the rows of a contribution as JSONL, its pictures and sounds as files',
  args: '<id> <rows-root>',
  flags: {
    ...KEY_FLAGS,
    media: { value: 'DIR', help: 'where to write pictures and sounds, named by row' },
  },
  notes:
    'Every row is checked against the root. Private rows are read with your key, when they are granted to it.',
  run: async (call) => {
    const [id, rowsRoot] = [idOf(call.args[0]), rowsRootOf(call.args[1])]
    const { url, rpc } = nodeOf(call)
    const given = await rpc<Given | null>('openledger_getContribution', id, rowsRoot)
    if (!given) throw userError('datanet-unknown', `Datanet ${id} has no rows ${rowsRoot}`)
    const place = { datanetId: BigInt(id), rowsRoot, contentHash: given.contentHash }
    const rows = given.isPrivate
      ? await privateRows(place, await walletFor(call))
      : decodeRows(await contentOf(rpc, given.contentHash))
    if (!rows) throw userError('datanet-private', `rows ${rowsRoot} are not granted to your key`)
    if (rootOf(rows) !== rowsRoot)
      throw userError('datanet-content', `the file of ${rowsRoot} holds other rows`)
    const dir = call.flags.media
    if (dir) await mkdir(dir, { recursive: true })
    for (const [i, { media }] of rows.entries()) {
      if (!media) continue
      const found = await judgeMedia(media, rpc)
      if (found.kind === 'wrong') process.stderr.write(`row ${i + 1}: its media ${found.why}\n`)
      else if (found.kind === 'unavailable')
        process.stderr.write(`row ${i + 1}: its media cannot be checked now: ${found.why}\n`)
      else if (dir) await writeFile(join(dir, fileName(i + 1, media)), await fetchMedia(media, url))
    }
    // Salts are for proofs, not for readers.
    const shown = rows.map(({ salt: _, ...row }) => row)
    process.stdout.write(new TextDecoder().decode(encodeRows(shown)))
    return undefined
  },
}

export const reviewCommands: readonly Command[] = [queue, review]

/** In the order of reveals. */
async function revealedRoots(id: number, rpc: Rpc): Promise<Hex[]> {
  const hex = (value: bigint): Hex => `0x${value.toString(16)}`
  const head = BigInt(await rpc<Hex>('eth_blockNumber'))
  const args = { datanetId: BigInt(id) }
  const topics = encodeEventTopics({ abi: DATANETS.abi, eventName: 'Revealed', args })
  const roots = new Set<Hex>()
  for (const [from, to] of logRanges(head)) {
    const logs = await rpc<{ topics: Hex[] }[]>('eth_getLogs', {
      address: DATANETS.address,
      topics,
      fromBlock: hex(from),
      toBlock: hex(to),
    })
    for (const log of logs) roots.add(log.topics[3] as Hex)
  }
  return [...roots]
}

function outcomeOf({ outcome, score, openedAt }: Given['validation']): string {
  if (outcome !== 'none') return `${outcome} with ${score}`
  return openedAt === '0' ? 'not judged' : 'being judged'
}

function fileName(number: number, { type }: Media): string {
  return `${number}.${ENDINGS[type][0]}`
}
