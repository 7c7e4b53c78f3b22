/** Blocks by number, newest first; those that were read once are kept while they can still be meant. */
import { type Loaded, useHead, useQuery } from './hooks.ts'
import { call } from './rpc.ts'
import type { WithHashes } from './types.ts'

const quantity = (value: number): string => `0x${value.toString(16)}`

/** `count` blocks down from `top`; from the newest, live, when it is null. */
export function useBlocks(top: number | null, count: number): Loaded<readonly WithHashes[]> {
  const head = useHead()
  const from = top ?? head
  const key = from === null ? null : `blocks ${top === null ? 'live' : top} ${count}`
  return useQuery(
    key,
    async () => {
      const start = top ?? Number(await call<string>('eth_blockNumber'))
      const numbers = Array.from({ length: Math.min(count, start + 1) }, (_, i) => start - i)
      const blocks = await Promise.all(
        numbers.map((number) =>
          call<WithHashes | null>('eth_getBlockByNumber', quantity(number), false),
        ),
      )
      return blocks.filter((block) => block !== null)
    },
    top === null ? 'block' : 'once',
  )
}
