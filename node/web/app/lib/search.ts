/** From what a person typed to the page that shows it. */
import { call } from './rpc.ts'

export type Found = { readonly href: string } | { readonly problem: string }

/** A block number, a hash of a transaction, block or receipt, or an address. */
export async function findPage(typed: string): Promise<Found> {
  const text = typed.trim().replaceAll(',', '')
  if (/^\d{1,15}$/.test(text)) return { href: `/block/${text}` }
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return { href: `/address/${text.toLowerCase()}` }
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) {
    return {
      problem: `'${typed}' is no block number, no address (0x and 40 digits) and no hash (0x and 64 digits).`,
    }
  }
  const [transaction, block, receipt] = await Promise.all([
    call('eth_getTransactionByHash', text),
    call('eth_getBlockByHash', text, false),
    call('openledger_getReceipt', text).catch(() => null),
  ])
  if (transaction) return { href: `/tx/${text}` }
  if (block) return { href: `/block/${text}` }
  if (receipt) return { href: `/receipt/${text}` }
  return { problem: `This node knows no transaction, block or receipt ${text}.` }
}
