/** /blocks: the chain, newest first, live until one pages back. */
import { BlockTable } from '../components/blocks.tsx'
import { ExplorerNav } from '../components/explorer-nav.tsx'
import { Card, Page, Pager } from '../components/layout.tsx'
import { Show } from '../components/state.tsx'
import { useBlocks } from '../lib/blocks.ts'
import { integer } from '../lib/format.ts'
import { useHead } from '../lib/hooks.ts'
import { setQuery, usePlace } from '../lib/router.ts'

const ROWS = 25

export default function Blocks() {
  const { query } = usePlace()
  const head = useHead()
  const asked = query.get('from')
  const top = asked !== null && /^\d{1,15}$/.test(asked) ? Number(asked) : null
  const blocks = useBlocks(top, ROWS)
  const first = top ?? head ?? 0
  const newer = (): void => {
    const next = first + ROWS
    setQuery('from', head !== null && next < head ? String(next) : null)
  }
  return (
    <Page title="Blocks" lead="A block a second, each with the state it leaves behind.">
      <ExplorerNav />
      <Card flush>
        <Show of={blocks} rows={12} what="blocks">
          {(rows) => <BlockTable rows={rows} />}
        </Show>
        <Pager
          at={`${integer(Math.max(0, first - ROWS + 1))} – ${integer(first)}`}
          newer={top === null ? undefined : newer}
          older={first >= ROWS ? () => setQuery('from', String(first - ROWS)) : undefined}
        />
      </Card>
    </Page>
  )
}
