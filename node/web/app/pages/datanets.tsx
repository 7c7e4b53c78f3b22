/** /datanets: the shared collections of rows that models are trained on. */
import { Card, Page, Stat, Stats } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Address } from '../components/value.tsx'
import type { DatanetView } from '../lib/datanet.ts'
import { integer } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'

export default function Datanets() {
  const list = useCall<DatanetView[]>('openledger_listDatanets', [], 'block')
  const sum = (of: (one: DatanetView) => number): string =>
    list.data ? integer(list.data.reduce((total, one) => total + of(one), 0)) : '–'
  return (
    <Page
      title="Datanets"
      lead="A Datanet is a collection of rows that many people own together. Whoever gave a row is paid when a model that was trained on it answers."
      actions={
        <a class="button primary" href="/datanets/new">
          Create a Datanet
        </a>
      }
    >
      <Stats>
        <Stat label="Datanets">{sum(() => 1)}</Stat>
        <Stat label="Contributors" note="counted in each Datanet">
          {sum(({ contributorCount }) => Number(contributorCount))}
        </Stat>
        <Stat label="Published versions">{sum(({ versionCount }) => versionCount)}</Stat>
      </Stats>
      <Card flush>
        <Show
          of={list}
          rows={5}
          what="Datanets"
          empty={
            <Empty title="No Datanet yet" icon="data">
              <a href="/datanets/new">Create the first.</a> It takes a name and a schema.
            </Empty>
          }
        >
          {(rows) => (
            <Table
              caption="Datanets, newest first"
              rows={rows}
              rowKey={({ id }) => id}
              columns={[
                { head: 'Name', cell: ({ id, name }) => <a href={`/datanet/${id}`}>{name}</a> },
                { head: 'Id', align: 'right', narrow: false, cell: ({ id }) => id },
                { head: 'Owner', cell: ({ owner }) => <Address value={owner} /> },
                {
                  head: 'Contributors',
                  align: 'right',
                  cell: ({ contributorCount }) => integer(contributorCount),
                },
                {
                  head: 'Versions',
                  align: 'right',
                  cell: ({ versionCount }) => integer(versionCount),
                },
                {
                  head: 'Schema',
                  narrow: false,
                  cell: ({ schema }) => <code class="small">{schema || 'any row'}</code>,
                },
              ]}
            />
          )}
        </Show>
      </Card>
    </Page>
  )
}
