/**
 * Every page of the app: its path, its place in the navigation, and the chunk it lives in. A page is one default-exported
 * component; it gets the parameters of its path as `params`.
 */
import type { ComponentType } from 'preact'
import type { IconName } from './components/icon.tsx'
import { match } from './lib/router.ts'

export type PageProps = { readonly params: Readonly<Record<string, string>> }
type Module = { default: ComponentType<PageProps> }

export type Route = { readonly path: string; readonly load: () => Promise<Module> }

export const ROUTES: readonly Route[] = [
  { path: '/', load: () => import('./pages/overview.tsx') },
  { path: '/blocks', load: () => import('./pages/blocks.tsx') },
  { path: '/block/:id', load: () => import('./pages/block.tsx') },
  { path: '/transactions', load: () => import('./pages/transactions.tsx') },
  { path: '/tx/:hash', load: () => import('./pages/tx.tsx') },
  { path: '/address/:address', load: () => import('./pages/address.tsx') },
  { path: '/receipts', load: () => import('./pages/receipts.tsx') },
  { path: '/receipt/:hash', load: () => import('./pages/receipt.tsx') },
  { path: '/deposits', load: () => import('./pages/deposits.tsx') },
  { path: '/withdrawals', load: () => import('./pages/withdrawals.tsx') },
  { path: '/batches', load: () => import('./pages/batches.tsx') },
  { path: '/contracts', load: () => import('./pages/contracts.tsx') },
  { path: '/network', load: () => import('./pages/network.tsx') },
  { path: '/bridge', load: () => import('./pages/bridge.tsx') },
  { path: '/governance', load: () => import('./pages/governance.tsx') },
  { path: '/proposal/:id', load: () => import('./pages/proposal.tsx') },
  { path: '/playground', load: () => import('./pages/playground.tsx') },
  { path: '/datanets', load: () => import('./pages/datanets.tsx') },
  { path: '/datanets/new', load: () => import('./pages/datanet-new.tsx') },
  { path: '/datanet/:id', load: () => import('./pages/datanet.tsx') },
  { path: '/factory', load: () => import('./pages/factory.tsx') },
  { path: '/factory/new', load: () => import('./pages/factory-new.tsx') },
  { path: '/job/:id', load: () => import('./pages/job.tsx') },
  { path: '/rewards', load: () => import('./pages/rewards.tsx') },
  { path: '/trace/:hash', load: () => import('./pages/trace.tsx') },
  { path: '/agents', load: () => import('./pages/agents.tsx') },
  { path: '/agents/new', load: () => import('./pages/agent-new.tsx') },
  { path: '/market', load: () => import('./pages/market.tsx') },
  { path: '/market/:kind/:id', load: () => import('./pages/listing.tsx') },
  { path: '/agent/:id', load: () => import('./pages/agent.tsx') },
  { path: '/errors', load: () => import('./pages/errors.tsx') },
  { path: '/errors/:code', load: () => import('./pages/error.tsx') },
  { path: '/model/:id', load: () => import('./pages/model.tsx') },
]

export type NavItem = {
  readonly href: string
  readonly text: string
  readonly icon: IconName
  /** Paths that belong to it, beside its own and those below it. */
  readonly also?: readonly string[]
}

const EXPLORER: readonly string[] = [
  '/block',
  '/transactions',
  '/tx',
  '/address',
  '/receipts',
  '/receipt',
  '/deposits',
  '/withdrawals',
  '/batches',
  '/contracts',
]

export const NAVIGATION: readonly { readonly title: string; readonly items: readonly NavItem[] }[] =
  [
    {
      title: 'Chain',
      items: [
        { href: '/', text: 'Overview', icon: 'overview' },
        { href: '/blocks', text: 'Explorer', icon: 'blocks', also: EXPLORER },
        { href: '/network', text: 'Network', icon: 'network' },
        { href: '/bridge', text: 'Bridge', icon: 'bridge' },
        { href: '/governance', text: 'Governance', icon: 'vote', also: ['/proposal'] },
      ],
    },
    {
      title: 'Economy',
      items: [
        { href: '/playground', text: 'Playground', icon: 'chat' },
        { href: '/datanets', text: 'Datanets', icon: 'data', also: ['/datanet'] },
        { href: '/factory', text: 'ModelFactory', icon: 'models', also: ['/job', '/model'] },
        { href: '/agents', text: 'Agents', icon: 'agents', also: ['/agent'] },
        { href: '/market', text: 'Market', icon: 'market' },
        { href: '/rewards', text: 'Rewards', icon: 'rewards', also: ['/trace'] },
      ],
    },
  ]

export function routeOf(path: string): { route: Route; params: Record<string, string> } | null {
  for (const route of ROUTES) {
    const params = match(route.path, path)
    if (params) return { route, params }
  }
  return null
}

/** Whether `item` is where `path` is. */
export function isCurrent({ href, also = [] }: NavItem, path: string): boolean {
  if (href === '/') return path === '/'
  return [href, ...also].some((at) => path === at || path.startsWith(`${at}/`))
}
