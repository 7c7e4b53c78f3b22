/**
 * Every code that an error, an exit status or a finding of `openledger doctor` can carry, with its page. One table for all
 * who show it: `/errors` of a node, the web app, `openledger errors`. A test holds it against the tree, both ways.
 */
import { CHAIN_ERRORS } from './chain.ts'
import { COMMAND_ERRORS } from './command.ts'
import { MODEL_ERRORS } from './models.ts'
import { NETWORK_ERRORS } from './network.ts'
import { TRANSACTION_ERRORS } from './transactions.ts'
import type { ErrorPage, ErrorPages } from './types.ts'

export const ERROR_GROUPS: readonly { readonly title: string; readonly pages: ErrorPages }[] = [
  { title: 'Transactions', pages: TRANSACTION_ERRORS },
  { title: 'Models, data, payment, agents', pages: MODEL_ERRORS },
  { title: 'Chain, L1, store', pages: CHAIN_ERRORS },
  { title: 'Peers, content, signers', pages: NETWORK_ERRORS },
  { title: 'Command, JSON-RPC, engine, doctor', pages: COMMAND_ERRORS },
]

/** OpenAI's names for what has one. */
const ALIASES: Readonly<Record<string, string>> = {
  model_not_found: 'model-unknown',
  context_length_exceeded: 'context-length',
  invalid_value: 'invalid-value',
}

/** null for a code that nothing of ours carries. */
export function errorPage(
  code: string,
): { readonly code: string; readonly page: ErrorPage } | null {
  const known = ALIASES[code] ?? code
  const group = ERROR_GROUPS.find(({ pages }) => Object.hasOwn(pages, known))
  return group ? { code: known, page: group.pages[known] as ErrorPage } : null
}

/** As Markdown, for terminals and for programs. */
export function errorText(code: string): string | null {
  const found = errorPage(code)
  if (!found) return null
  const [what, remedy] = found.page
  return `# ${found.code}\n\n${what}\n\n**What to do:** ${remedy}\n`
}

export function allErrorsText(): string {
  const groups = ERROR_GROUPS.map(({ title, pages }) => {
    const rows = Object.entries(pages).map(
      ([code, [what, remedy]]) => `| [${code}](/errors/${code}) | ${what} | ${remedy} |`,
    )
    return `## ${title}\n\n| code | what | what to do |\n|---|---|---|\n${rows.join('\n')}\n`
  })
  return `# Errors\n\n${groups.join('\n')}`
}
