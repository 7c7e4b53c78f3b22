/** `openledger ask`: one question to a model of a node, paid by voucher, with what its receipt says. */
import { formatEther } from 'viem'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { payingFetch } from '../../node/model/paying-fetch.ts'
import type { Command } from '../cli/command.ts'
import { count, open, quantity } from '../cli/flags.ts'
import { KEY_FLAGS, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'

const TOKENS_MAX = 4_096

type Answer = {
  readonly id: Hex
  readonly choices: readonly { readonly message: { readonly content: string } }[]
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number }
  readonly openledger: { readonly receipt: { readonly fee: string } }
  readonly error?: { readonly message: string }
}

export const ask: Command = {
  name: 'ask',
  summary: 'Asks a model, pays for the answer from your prepaid balance, and names the receipt',
  args: '<model> <question>',
  flags: {
    ...KEY_FLAGS,
    budget: { value: 'OPEN', help: 'most that the answer may cost', fallback: '0.1' },
    'max-tokens': { value: 'N', help: 'of the answer', fallback: '64' },
    temperature: { value: 'X', help: '0: always the likeliest', fallback: '0' },
    seed: { value: 'N', help: 'of the choice among likely words', fallback: '0' },
  },
  notes: "Prepay with 'openledger escrow deposit'. Models: 'openledger model list'.",
  run: async (call) => {
    const { flags, args } = call
    const { wallet } = await walletFor(call)
    const pay = payingFetch({ account: wallet.signer, budgetWei: open(flags, 'budget') })
    const response = await pay(`${flags.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: args[0],
        messages: [{ role: 'user', content: args[1] }],
        max_tokens: count(flags, 'max-tokens', TOKENS_MAX),
        temperature: quantity(flags, 'temperature'),
        seed: count(flags, 'seed', 2 ** 32, 0),
      }),
    })
    const answer = (await response.json()) as Answer
    if (!response.ok) {
      throw userError(
        'inference',
        `the node refuses (${response.status}): ${answer.error?.message}`,
      )
    }
    const { fee } = answer.openledger.receipt
    const { prompt_tokens, completion_tokens } = answer.usage
    show(call, answer, [
      answer.choices[0]?.message.content ?? '',
      '',
      `${formatEther(BigInt(fee))} OPEN for ${prompt_tokens} tokens read, ${completion_tokens} written`,
      `receipt ${answer.id}   (openledger provenance ${answer.id} says who is paid)`,
    ])
    return undefined
  },
}
