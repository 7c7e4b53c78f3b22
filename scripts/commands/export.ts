/** `openledger export croissant|prov`: descriptions that other people's tools read, from a running node. */
import { writeFile } from 'node:fs/promises'
import { messageOf, NodeError, userError } from '../../node/base/errors.ts'
import type { Call, Command } from '../cli/command.ts'
import { count } from '../cli/flags.ts'
import { type Flags, NODE_FLAGS } from '../cli/person.ts'
import { rpcTo } from '../cli/rpc.ts'
import { idOf } from '../datanet/session.ts'

/** A Datanet's files are read and hashed first. */
const TIMEOUT_MS = 300_000
const VERSION_MAX = 2 ** 32 - 1

const OUT_FLAGS: Flags = {
  ...NODE_FLAGS,
  out: { value: 'FILE', help: 'instead of standard output' },
}

export const exportCroissant: Command = {
  name: 'export croissant',
  summary: 'Describes a Datanet version as Croissant 1.1 (JSON-LD)',
  args: '<datanet>',
  flags: { ...OUT_FLAGS, version: { value: 'N', help: 'default: the newest' } },
  notes: 'The same stands at <url>/api/datasets/openledger/datanet-<N>/croissant.',
  run: async (call) => {
    const datanet = idOf(call.args[0])
    const revision = call.flags.version ? `v${count(call.flags, 'version', VERSION_MAX)}` : 'main'
    const url = `${call.flags.url}/api/datasets/openledger/datanet-${datanet}/croissant/${revision}`
    await write(call, await read(url))
    return undefined
  },
}

export const exportProv: Command = {
  name: 'export prov',
  summary: 'Writes the provenance of a receipt, a model, rows or an account as W3C PROV (JSON-LD)',
  args: '<id>',
  flags: OUT_FLAGS,
  run: async (call) => {
    const rpc = rpcTo(call.flags.url as string, TIMEOUT_MS)
    await write(call, await rpc<object>('openledger_exportProvenance', call.args[0]))
    return undefined
  },
}

async function read(url: string): Promise<object> {
  let response: Response
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (error) {
    const cause = error instanceof Error && error.cause ? error.cause : error
    throw new NodeError('rpc-unreachable', 'retry', `${url} does not answer: ${messageOf(cause)}`)
  }
  const body = (await response.json().catch(() => ({}))) as { error?: string }
  if (response.ok) return body
  throw userError('rpc-refused', `${url}: ${body.error ?? response.statusText}`)
}

async function write({ flags }: Call, document: object): Promise<void> {
  const text = `${JSON.stringify(document, null, 2)}\n`
  if (flags.out) await writeFile(flags.out, text)
  else process.stdout.write(text)
}
