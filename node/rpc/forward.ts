/** A follower's way to the sequencer: users' transactions go on by JSON-RPC, the answer comes back. */
import { type Hex, toHex } from '../base/bytes.ts'
import { messageOf, NodeError, userError } from '../base/errors.ts'

const TIMEOUT_MS = 10_000

/** @param url null on a follower that was given no sequencer. */
export function forwardTo(url: string | null): (raw: Uint8Array) => Promise<Hex> {
  return async (raw) => {
    if (!url)
      throw userError('no-sequencer', 'this node knows no sequencer: send the transaction to one')
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
