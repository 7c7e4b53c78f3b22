/**
 * A follower's way to the sequencer. With the sequencer's JSON-RPC known, users' transactions go there
 * and its answer comes back; without it they go by gossip, after our own pool has judged them.
 */
import { type Hex, toHex } from '../base/bytes.ts'
import { messageOf, NodeError, userError } from '../base/errors.ts'

const TIMEOUT_MS = 10_000

export type Gossip = {
  /** @throws TxError, PoolError */
  add(raw: Uint8Array): Hex
  remove(hash: Hex): boolean
  /** Answers how many peers it went to. */
  publish(raw: Uint8Array): Promise<number>
}

/** @throws NodeError `no-peer` when there is nobody to pass it on. */
export function forwardByGossip({
  add,
  remove,
  publish,
}: Gossip): (raw: Uint8Array) => Promise<Hex> {
  return async (raw) => {
    const hash = add(raw)
    if ((await publish(raw)) > 0) return hash
    remove(hash)
    throw new NodeError(
      'no-peer',
      'retry',
      'no peer to pass the transaction on to: set sequencerRpc, or try again when peers are connected',
    )
  }
}

/** @param url the sequencer's JSON-RPC. */
export function forwardTo(url: string): (raw: Uint8Array) => Promise<Hex> {
  return async (raw) => {
    const { result, error } = await post(url, toHex(raw))
    if (error) throw userError('refused', `the sequencer refuses: ${error.message}`)
    return result
  }
}

async function post(url: string, raw: Hex): Promise<{ result: Hex; error?: { message: string } }> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'eth_sendRawTransaction',
        params: [raw],
      }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    return (await response.json()) as { result: Hex }
  } catch (error) {
    throw new NodeError(
      'sequencer-unreachable',
      'retry',
      `the sequencer did not answer: ${messageOf(error)}`,
    )
  }
}
