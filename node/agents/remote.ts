/**
 * A distant node as the tools see it: its state by `eth_call`, its models by `/v1/completions`. What the far node
 * refuses comes back as our own error, with its words.
 */
import { fromHex, type Hex, toHex } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import type { ChainReader } from '../model/contracts.ts'
import type { Ask } from './types.ts'

const NO_BYTES = new Uint8Array(0)
/** What a far node does not tell of a call. */
const RAN = { gasUsed: 0n, gasPeak: 0n, logs: [], createdAddress: null, accessList: [] } as const

export type RemoteCall = <T>(method: string, ...params: unknown[]) => Promise<T>

/** JSON-RPC's code of a call that reverts. */
const REVERTED = 3

/** Reads of the newest state alone. @throws NodeError of `call` */
export function readerOver(call: RemoteCall): ChainReader {
  return {
    call: async ({ to, data }) => {
      const request = { to, data: toHex(data ?? NO_BYTES) }
      try {
        const output = await call<Hex>('eth_call', request, 'latest')
        return { ...RAN, returnData: fromHex(output) }
      } catch (error) {
        if (!(error instanceof NodeError) || error.data.code !== REVERTED) throw error
        return { ...RAN, returnData: NO_BYTES, error: { kind: 'revert', message: error.message } }
      }
    },
  }
}

export function askOver(url: string, fetcher: typeof fetch = fetch): Ask {
  return async ({ model, prompt, maxTokens, temperature, seed, payment, parentAction, signal }) => {
    const body = {
      model,
      prompt,
      max_tokens: maxTokens,
      temperature,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
    }
    const response = await fetcher(`${url}/v1/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...payment,
        ...(parentAction ? { 'x-openledger-parent-action': parentAction } : {}),
      },
      body: JSON.stringify(body),
      ...(signal ? { signal } : {}),
    })
    const answer = (await response.json()) as Answer
    if (!response.ok) {
      const {
        message = `the node answered ${response.status}`,
        code = 'remote',
        payment: how,
      } = answer.error ?? {}
      if (response.status >= 500) throw new NodeError(code, 'retry', message)
      throw userError(code, message, { payment: how })
    }
    const [choice] = answer.choices
    return {
      text: choice?.text ?? '',
      finish: choice?.finish_reason ?? 'stop',
      tokensIn: answer.usage.prompt_tokens,
      tokensOut: answer.usage.completion_tokens,
      record: answer.openledger ?? null,
    }
  }
}

type Answer = {
  readonly choices: readonly { readonly text: string; readonly finish_reason: 'stop' | 'length' }[]
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number }
  readonly openledger?: Readonly<Record<string, unknown>> | null
  readonly error?: { readonly message?: string; readonly code?: string; readonly payment?: unknown }
}
