/** `openledger datanet`: create, contribute, reveal, version, list, show, row; private rows, reviews and votes are beside. */
import { readFile } from 'node:fs/promises'
import { hexToBigInt } from 'viem'
import { type Hex, ZERO_ADDRESS, ZERO_HASH } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { type Contribution, signContribution } from '../../node/datanet/contribution.ts'
import { bitsOf, NO_QUORUM, PERMISSIONS, PURPOSES } from '../../node/datanet/licence.ts'
import { decodeSchema } from '../../node/datanet/schema.ts'
import type { ShardSummary } from '../../node/datanet/shards.ts'
import type { Call, Command } from '../cli/command.ts'
import { EXIT } from '../cli/exit.ts'
import { choice, count, wei } from '../cli/flags.ts'
import { KEY_FLAGS, NODE_FLAGS, nodeOf, type Person, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import { commitFile, revealPending } from '../datanet/contribute.ts'
import { type Reader, readerOf } from '../datanet/private.ts'
import { publishVersion } from '../datanet/publish.ts'
import { reviewCommands } from '../datanet/review.ts'
import { DATANETS, idOf, STATE_FLAGS } from '../datanet/session.ts'
import { voteCommands } from '../datanet/validate.ts'
import { privateCommands } from './datanet-private.ts'

const SECONDS_MAX = 7 * 86_400
/** In the order of DatanetRegistry's `Payer`. */
const PAYERS = ['relayer', 'owner'] as const

const create: Command = {
  name: 'datanet create',
  summary: 'Creates a Datanet: schema, licence, limits, validators, who pays',
  args: '<name>',
  flags: {
    ...KEY_FLAGS,
    schema: {
      value: 'JSON',
      help: 'or @FILE; "media":"image", "audio" or "any" takes pictures and sounds, "meta" names fields',
      fallback: '{"text":"string"}',
    },
    permit: {
      value: 'LIST',
      help: `of ${Object.keys(PERMISSIONS).join(', ')}`,
      fallback: 'train,retrieve,commercial,derivatives',
    },
    purposes: { value: 'LIST', help: `of ${Object.keys(PURPOSES).join(', ')}; default: any` },
    'contributors-min': { value: 'N', help: 'least part of a fee, 10,000ths', fallback: '0' },
    expires: { value: 'SECONDS', help: 'Unix time; 0: never', fallback: '0' },
    bases: { value: 'LIST', help: 'base models that may be trained, by hash; default: any' },
    'rows-max': { value: 'N', help: 'rows of one contribution', fallback: '10000' },
    'row-bytes-max': { value: 'N', help: 'bytes of one row', fallback: '65536' },
    'rows-per-day': { value: 'N', help: 'of one contributor; 0: any', fallback: '0' },
    'bytes-per-day': { value: 'N', help: 'of one contributor; 0: any', fallback: '0' },
    validators: { value: 'LIST', help: 'accounts that judge contributions' },
    threshold: { value: 'K', help: 'scores that are needed', fallback: '0' },
    'score-min': { value: 'N', help: 'least median, 10,000ths', fallback: '5000' },
    'window-seconds': { value: 'N', help: 'to commit, and again to reveal', fallback: '86400' },
    'stake-min': { value: 'WEI', help: 'of a validator', fallback: '0' },
    payer: { value: 'WHO', help: 'relayer or owner', fallback: 'relayer' },
    'relay-fee': { value: 'WEI', help: 'for a relayed reveal', fallback: '0' },
  },
  run: async (call) => {
    const { flags, args } = call
    const number = (name: string, most = 10 ** 15): number => count(flags, name, most, 0)
    const list = (name: string): Hex[] =>
      (flags[name] ?? '')
        .split(',')
        .map((item) => item.trim().toLowerCase() as Hex)
        .filter(Boolean)
    const given = flags.schema as string
    const schema = given.startsWith('@') ? (await readFile(given.slice(1), 'utf8')).trim() : given
    decodeSchema(schema)
    const threshold = number('threshold', 32)
    const seconds = number('window-seconds', SECONDS_MAX)
    const params = {
      name: args[0],
      schema,
      licence: {
        permissions: bitsOf(flags.permit as string, PERMISSIONS),
        purposes: bitsOf(flags.purposes ?? '', PURPOSES),
        contributorsMin: number('contributors-min', 10_000),
        expiresAt: BigInt(number('expires')),
        textHash: ZERO_HASH,
        bases: list('bases'),
      },
      treasury: ZERO_ADDRESS,
      limits: {
        rowsMax: number('rows-max', 100_000),
        rowBytesMax: number('row-bytes-max', 65_536),
        rowsPerDayMax: number('rows-per-day', 2 ** 32 - 1),
        bytesPerDayMax: BigInt(number('bytes-per-day')),
      },
      quorum: {
        ...NO_QUORUM,
        validators: list('validators').sort(),
        threshold,
        scoreMin: number('score-min', 10_000),
        commitSeconds: threshold === 0 ? 0 : seconds,
        revealSeconds: threshold === 0 ? 0 : seconds,
        stakeMin: wei(flags, 'stake-min'),
      },
      payer: PAYERS.indexOf(choice(flags, 'payer', PAYERS)),
      relayFee: wei(flags, 'relay-fee'),
    }
    const { wallet } = await walletFor(call)
    const sent = await wallet.send({ ...DATANETS, functionName: 'create', args: [params] })
    const id = Number(hexToBigInt(sent.logs[0]?.topics[1] as Hex))
    show(call, { id, transaction: sent.transactionHash }, [`Datanet ${id}: ${args[0]}`])
    return undefined
  },
}

const contribute: Command = {
  name: 'datanet contribute',
  summary:
    'Commits the rows of a file (JSONL, CSV, Parquet, text) or a folder of pictures and sounds, then reveals them',
  args: '<id> <file>',
  flags: {
    ...STATE_FLAGS,
    format: { value: 'NAME', help: 'jsonl, csv, parquet, text; default: by the name' },
    'text-column': {
      value: 'NAME',
      help: 'CSV, Parquet: the column that is the text (default text)',
    },
    'media-column': {
      value: 'NAME',
      help: 'CSV, Parquet: the column that names a picture or sound, or (Parquet) has its bytes (default media)',
    },
    private: { help: 'encrypted; only you and those with a grant can read them' },
    grant: { value: 'WHO,…', help: 'who else may read private rows: accounts or public keys' },
    relay: { help: "the node's account pays the gas; you only sign" },
    'commit-only': { help: "stop after the commitments; 'datanet reveal' goes on" },
  },
  notes:
    'Bad rows are listed by number and left out; the status is 4 when there were any. A row names its picture or sound from the folder of the file, {"text":"…","media":"photos/a.png"}; of a folder, each has its caption in the text file of the same name (a.png, a.txt).',
  run: async (call) => {
    const [id, path = ''] = [idOf(call.args[0]), call.args[1]]
    const modules = { ...(await walletFor(call)), state: call.flags.state as string }
    const isRelayed = call.switches.has('relay')
    const { wallet, rpc } = modules
    const sender = async (commitments: Hex[]): Promise<void> => {
      if (isRelayed)
        await wallet.confirmed(await rpc<Hex>('openledger_commitRows', id, commitments), 'commit')
      else await wallet.send({ ...DATANETS, functionName: 'commit', args: [id, commitments] })
    }
    const readers = await readersOf(call, modules)
    const committed = await commitFile(call, { path, datanetId: id, sender, readers }, modules)
    const revealed = call.switches.has('commit-only')
      ? []
      : await revealPending(id, modules, revealer(modules, isRelayed))
    show(call, { ...committed, revealed }, [
      `${committed.rows} rows in ${committed.contributions.length} contributions, ${revealed.length} revealed`,
      ...faultLines(committed),
    ])
    return committed.faults > 0 ? EXIT.findings : undefined
  },
}

const reveal: Command = {
  name: 'datanet reveal',
  summary: 'Shows and reveals what is committed and waits in the state folder',
  args: '<id>',
  flags: { ...STATE_FLAGS, relay: { help: "the node's account pays the gas; you only sign" } },
  run: async (call) => {
    const id = idOf(call.args[0])
    const modules = { ...(await walletFor(call)), state: call.flags.state as string }
    const send = revealer(modules, call.switches.has('relay'))
    const revealed = await revealPending(id, modules, send)
    show(call, { revealed }, [`${revealed.length} revealed`, ...revealed])
    return undefined
  },
}

const version: Command = {
  name: 'datanet version',
  summary: 'Publishes a version of all accepted contributions, with its duplicate groups',
  args: '<id>',
  flags: {
    ...KEY_FLAGS,
    'with-private': { help: 'private rows too; who trains on the version needs grants of them' },
  },
  run: async (call) => {
    const withPrivate = call.switches.has('with-private')
    const published = await publishVersion(idOf(call.args[0]), await walletFor(call), {
      withPrivate,
    })
    const { unread } = published
    show(call, published, [
      `version ${published.version}: ${published.rowCount} rows of ${published.contributions} contributions`,
      `rows root ${published.rowsRoot}`,
      `${published.copies} rows are copies of earlier ones`,
      ...unread.map(({ rowsRoot, kind, why }) =>
        kind === 'wrong'
          ? `left out: the content of ${rowsRoot} is wrong: ${why}`
          : `left out: the content of ${rowsRoot} cannot be had now: ${why}`,
      ),
    ])
    return undefined
  },
}

const list: Command = {
  name: 'datanet list',
  summary: 'Lists the Datanets, newest first',
  flags: NODE_FLAGS,
  run: async (call) => {
    type Item = {
      id: string
      name: string
      owner: string
      versionCount: number
      contributorCount: string
    }
    const found = await nodeOf(call).rpc<Item[]>('openledger_listDatanets')
    const lines = found.map(
      ({ id, name, owner, versionCount, contributorCount }) =>
        `${id.padStart(4)}  ${name.padEnd(32)} ${owner}  ${versionCount} versions, ${contributorCount} contributors`,
    )
    show(call, found, lines.length > 0 ? lines : ['no Datanets yet: openledger datanet create'])
    return undefined
  },
}

const showOne: Command = {
  name: 'datanet show',
  summary: 'Shows a Datanet, or one version of it with its licence',
  args: '<id> [version]',
  flags: NODE_FLAGS,
  run: async (call) => {
    const [id, number] = [idOf(call.args[0]), call.args[1]]
    const { rpc } = nodeOf(call)
    const found =
      number === undefined
        ? await rpc<object | null>('openledger_getDatanet', id)
        : await rpc<object | null>('openledger_getDatanetVersion', id, idOf(number))
    if (!found)
      throw userError('datanet-unknown', `there is no Datanet ${call.args.join(' version ')}`)
    show(call, found, [JSON.stringify(found, null, 2)])
    return undefined
  },
}

const row: Command = {
  name: 'datanet row',
  summary: 'Shows a row of a version (from 0) with the proof to the root on chain',
  args: '<id> <version> <row>',
  flags: NODE_FLAGS,
  run: async (call) => {
    const [id, number, index] = call.args
    const place = [idOf(id), idOf(number), Number(index)]
    const found = await nodeOf(call).rpc<object>('openledger_getRowProof', ...place)
    show(call, found, [JSON.stringify(found, null, 2)])
    return undefined
  },
}

export const datanetCommands: readonly Command[] = [
  create,
  contribute,
  reveal,
  ...reviewCommands,
  ...voteCommands,
  ...privateCommands,
  version,
  list,
  showOne,
  row,
]

/** null: the rows are public. */
async function readersOf({ flags, switches }: Call, person: Person): Promise<Reader[] | null> {
  const isPrivate = switches.has('private')
  const named = (flags.grant ?? '').split(',').filter(Boolean)
  if (!isPrivate && named.length > 0) throw userError('usage', '--grant is for --private rows')
  if (isPrivate && switches.has('relay'))
    throw userError('usage', 'private rows are granted in your own name: leave out --relay')
  return isPrivate ? Promise.all(named.map((one) => readerOf(one, person))) : null
}

function revealer(
  { wallet, rpc, key, chainId }: Person,
  isRelayed: boolean,
): (contribution: Contribution) => Promise<void> {
  return async (contribution) => {
    if (!isRelayed) {
      await wallet.send({ ...DATANETS, functionName: 'reveal', args: [contribution] })
      return
    }
    const signature = signContribution(contribution, { key, chainId })
    const plain = {
      ...contribution,
      datanetId: Number(contribution.datanetId),
      byteCount: Number(contribution.byteCount),
    }
    await wallet.confirmed(await rpc<Hex>('openledger_contribute', plain, signature), 'revealFor')
  }
}

function faultLines({ faults, listed }: ShardSummary): string[] {
  if (faults === 0) return []
  const more = faults - listed.length
  return [
    `${faults} rows left out:`,
    ...listed.map(({ row: number, reason }) => `  row ${number}: ${reason}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ]
}
