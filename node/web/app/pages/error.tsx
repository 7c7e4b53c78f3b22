/** /errors/:code: one error: what happened, and what to do. */
import { errorPage } from '../../../errors/catalogue.ts'
import { Card, Fact, Facts, Page } from '../components/layout.tsx'
import { Empty } from '../components/state.tsx'
import type { PageProps } from '../routes.ts'

export default function ErrorPageOf({ params }: PageProps) {
  const { code = '' } = params
  const found = errorPage(code)
  return (
    <Page title={found?.code ?? code} crumb={{ href: '/errors', text: 'Errors' }}>
      <Card>
        {found ? (
          <Facts>
            <Fact label="What happened">{found.page[0]}</Fact>
            <Fact label="What to do">{found.page[1]}</Fact>
          </Facts>
        ) : (
          <Empty title={`No error has the code ${code}`}>
            <a href="/errors">All of them</a>
          </Empty>
        )}
      </Card>
    </Page>
  )
}
