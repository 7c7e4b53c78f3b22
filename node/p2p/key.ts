/**
 * The peer key: who this node is to other peers (Ed25519; no money hangs on it). Made once and kept
 * in the data directory as `p2p-key`, hex of libp2p's protobuf form, readable by the owner alone.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { fromHex, toHex } from '../base/bytes.ts'
import { P2PError } from './errors.ts'

export type PeerKey = ReturnType<typeof privateKeyFromProtobuf>

/** @throws P2PError `bad-key` when the file is there and is no key; it is never overwritten. */
export async function loadPeerKey(dataDir: string | undefined): Promise<PeerKey> {
  if (dataDir === undefined) return generateKeyPair('Ed25519')
  const path = join(dataDir, 'p2p-key')
  const stored = readIfThere(path)
  if (stored !== undefined) {
    try {
      return privateKeyFromProtobuf(fromHex(stored.trim()))
    } catch (error) {
      throw new P2PError('bad-key', `${path} holds no peer key; restore or delete it`, error)
    }
  }
  const key = await generateKeyPair('Ed25519')
  mkdirSync(dataDir, { recursive: true })
  writeFileSync(path, `${toHex(privateKeyToProtobuf(key))}\n`, { mode: 0o600, flag: 'wx' })
  return key
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
