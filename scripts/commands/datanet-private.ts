/** `openledger datanet key|grant|erase|export`: private rows, for who gives them and who may read them. */
import { writeFile } from 'node:fs/promises'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { type Hex, toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { encodeRows } from '../../node/datanet/rows.ts'
import type { Command } from '../cli/command.ts'
import { KEY_FLAGS, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import { grant, keyFor, readableRows, readerFrom, readerOf, setGrant } from '../datanet/private.ts'
import { DATANETS, idOf, rowsRootOf } from '../datanet/session.ts'

const key: Command = {
  name: 'datanet key',
  summary: 'Shows your public key, with which others grant you their private rows',
  flags: KEY_FLAGS,
  run: async (call) => {
    const person = await walletFor(call)
    const publicKey = toHex(readerFrom(secp256k1.getPublicKey(person.key, true)).key)
    show(call, { publicKey, account: person.wallet.address }, [publicKey])
    return undefined
  },
}

const grantRows: Command = {
  name: 'datanet grant',
  summary: 'Lets somebody read private rows of yours, by account or public key',
  args: '<id> <rows-root> <reader>',
  flags: { ...KEY_FLAGS, revoke: { help: 'take it back, from who has not read yet' } },
  notes:
    'A reader named by account must have sent a transaction on this chain: its public key is recovered from it.',
  run: async (call) => {
    const person = await walletFor(call)
    const [id, rowsRoot = '', text = ''] = call.args
    const place = { datanetId: BigInt(idOf(id)), rowsRoot: rowsRootOf(rowsRoot) }
    if (call.switches.has('revoke')) {
      const isKey = text.length > 42
      const address = isKey ? (await readerOf(text, person)).address : (text.toLowerCase() as Hex)
      await setGrant(ZERO_HASH, { reader: address, place }, person.wallet)
      show(call, { revoked: address }, [`${address} has no grant any more`])
      return undefined
    }
    const reader = await readerOf(text, person)
    const rowsKey = await keyFor(place, person)
    if (!rowsKey) {
      const who = person.wallet.address
      throw userError(
        'datanet-private',
        `${who} has no key of ${rowsRoot}: only who reads can grant`,
      )
    }
    await grant(rowsKey, { reader, place }, person)
    show(call, { granted: reader.address }, [`${reader.address} may read ${rowsRoot}`])
    return undefined
  },
}

const erase: Command = {
  name: 'datanet erase',
  summary: 'Takes rows of yours out of every later version; nodes delete what was encrypted',
  args: '<id> <rows-root>',
  flags: KEY_FLAGS,
  run: async (call) => {
    const { wallet } = await walletFor(call)
    const args = [BigInt(idOf(call.args[0])), rowsRootOf(call.args[1])]
    const sent = await wallet.send({ ...DATANETS, functionName: 'erase', args })
    show(call, { transaction: sent.transactionHash }, [
      'erased: root, count and owner stay on chain',
    ])
    return undefined
  },
}

const exportRows: Command = {
  name: 'datanet export',
  summary: 'Writes the rows of a version that you may read, private ones decrypted, as JSONL',
  args: '<id> [version]',
  flags: { ...KEY_FLAGS, out: { value: 'FILE', help: 'instead of standard output' } },
  notes:
    'Every row is checked against its contribution. What you have no grant for, or what is erased, is named on stderr.',
  run: async (call) => {
    const person = await walletFor(call)
    const id = idOf(call.args[0])
    const version = call.args[1] === undefined ? null : idOf(call.args[1])
    const { rows, unread } = await readableRows(id, version, person)
    const text = new TextDecoder().decode(encodeRows(rows))
    if (call.flags.out) await writeFile(call.flags.out, text)
    else process.stdout.write(text)
    for (const one of unread) process.stderr.write(`${one}\n`)
    return undefined
  },
}

export const privateCommands: readonly Command[] = [key, grantRows, erase, exportRows]
