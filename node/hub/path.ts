/** What a path of the Hugging Face Hub asks for. */
import type { Kind } from './repo.ts'

export type HubRequest =
  | { readonly ask: 'list'; readonly kind: Kind }
  | {
      readonly ask: 'info' | 'tree' | 'paths' | 'refs' | 'file' | 'croissant'
      readonly kind: Kind
      readonly id: string
      readonly revision: string
      /** A file, or a folder of the tree; empty: the whole. */
      readonly path: string
    }

const API = /^\/api\/(models|datasets)(?:\/(.+))?$/
const RESOLVE = /^\/(datasets\/)?([\w.-]{1,96}(?:\/[\w.-]{1,96})?)\/(?:resolve|raw)\/([^/]+)\/(.+)$/
const WORDS = {
  revision: 'info',
  tree: 'tree',
  'paths-info': 'paths',
  refs: 'refs',
  croissant: 'croissant',
} as const

/** null when the path is none of the Hub's, or no repository can be meant by it. */
export function parseHubPath(pathname: string): HubRequest | null {
  const resolve = pathname.match(RESOLVE)
  if (resolve) {
    const [, datasets, id, revision, path] = resolve as unknown as string[]
    const kind = datasets ? 'datasets' : 'models'
    return decoded({ ask: 'file', kind, id: id as string, revision: revision as string, path })
  }
  const api = pathname.match(API)
  if (!api) return null
  const kind = api[1] as Kind
  if (!api[2]) return { ask: 'list', kind }
  const parts = api[2].split('/')
  const at = parts.findIndex((part, i) => i > 0 && part in WORDS)
  const id = (at < 0 ? parts : parts.slice(0, at)).join('/')
  if (at < 0) return decoded({ ask: 'info', kind, id, revision: 'main' })
  const [word, revision, ...path] = parts.slice(at)
  const ask = WORDS[word as keyof typeof WORDS]
  return decoded({ ask, kind, id, revision: revision ?? 'main', path: path.join('/') })
}

function decoded(request: {
  ask: Exclude<HubRequest['ask'], 'list'>
  kind: Kind
  id: string
  revision: string
  path?: string | undefined
}): HubRequest | null {
  try {
    const { path = '', ...rest } = request
    return {
      ...rest,
      id: decodeURIComponent(request.id),
      revision: decodeURIComponent(request.revision),
      path: decodeURIComponent(path),
    }
  } catch {
    return null
  }
}
