/** /errors: every code that this node's errors carry. */
import { ERROR_GROUPS } from '../../../errors/catalogue.ts'
import { Card, Page } from '../components/layout.tsx'
import { Table } from '../components/table.tsx'

export default function Errors() {
  return (
    <Page
      title="Errors"
      lead="Every error carries a code that stays. Here is what each means and what to do; a node answers the same at /errors/CODE in plain text, and the command openledger errors without one."
    >
      {ERROR_GROUPS.map(({ title, pages }) => (
        <Card key={title} title={title} flush>
          <Table
            caption={title}
            rows={Object.entries(pages)}
            rowKey={([code]) => code}
            columns={[
              {
                head: 'Code',
                cell: ([code]) => (
                  <a class="mono" href={`/errors/${code}`}>
                    {code}
                  </a>
                ),
              },
              { head: 'What happened', cell: ([, [what]]) => what },
              { head: 'What to do', cell: ([, [, remedy]]) => remedy },
            ]}
          />
        </Card>
      ))}
    </Page>
  )
}
