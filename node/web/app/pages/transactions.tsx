/** /transactions: what people sent, newest first. */
import { ExplorerNav } from '../components/explorer-nav.tsx'
import { Card, Page } from '../components/layout.tsx'
import { ScanResult } from '../components/transactions.tsx'
import { isPersons, useScan } from '../lib/scan.ts'

export default function Transactions() {
  const scan = useScan('all', isPersons)
  return (
    <Page title="Transactions" lead="Everything but the deposit that begins each block.">
      <ExplorerNav />
      <Card flush>
        <ScanResult scan={scan} what="transactions" />
      </Card>
    </Page>
  )
}
