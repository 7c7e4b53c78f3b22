/** The lists of the explorer, side by side above each of them. */
import { usePlace } from '../lib/router.ts'

const LISTS = [
  { href: '/blocks', text: 'Blocks' },
  { href: '/transactions', text: 'Transactions' },
  { href: '/receipts', text: 'Receipts' },
  { href: '/deposits', text: 'Deposits' },
  { href: '/withdrawals', text: 'Withdrawals' },
  { href: '/batches', text: 'Batches' },
  { href: '/contracts', text: 'Contracts' },
] as const

export function ExplorerNav() {
  const { path } = usePlace()
  return (
    <nav class="sub-nav" aria-label="Explorer">
      {LISTS.map(({ href, text }) => (
        <a key={href} href={href} aria-current={path === href ? 'page' : undefined}>
          {text}
        </a>
      ))}
    </nav>
  )
}
