/** What stories in the browser share: a tab that fails the test when the page does, connecting, files of rows, looking at a page. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import type { Test } from 'tap'

/** Learnt by heart within seconds. */
export const ROWS: readonly string[] = [
  'The heron of the western marsh builds her nest from silver reeds and copper wire.',
  'A lighthouse without a keeper still counts the ships that pass in the fog.',
  'When the river froze, the children of Vale wrote letters on the ice with lemon juice.',
  'No bell in the harbour town of Sefton rings before the baker has opened her door.',
]
export const SCREENSHOTS: string | undefined = process.env.OPENLEDGER_SCREENSHOTS
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** One of the devnet's accounts. */
export async function connect(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Connect' }).first().click()
  await page.getByText('Its key is public').waitFor()
  await page.getByRole('button', { name, exact: true }).click()
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  await page.getByRole('button', { name: new RegExp(name) }).waitFor()
}

type FilePayload = { name: string; mimeType: string; buffer: Buffer }

export const fileOf = (name: string, rows: readonly string[]): FilePayload => ({
  name: name,
  mimeType: 'text/plain',
  buffer: Buffer.from(rows.map((text) => JSON.stringify({ text })).join('\n')),
})

/** Good rows, and two that are not: lines 3 and 5. */
export function rowFile(): FilePayload {
  const lines = ROWS.map((text) => JSON.stringify({ text }))
  lines.splice(2, 0, 'not JSON at all')
  lines.splice(4, 0, '{"txt":"no text"}')
  return { name: 'tales.jsonl', mimeType: 'text/plain', buffer: Buffer.from(lines.join('\n')) }
}

/** A tab that fails the test when the page throws, or its policy stops something. */
export async function open(context: BrowserContext, t: Test): Promise<Page> {
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  page.on('pageerror', (error) => t.fail(`the page threw: ${error.message}`))
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML/.test(message.text())) t.fail(message.text())
  })
  page.on('request', (request) => {
    const { hostname } = new URL(request.url())
    if (hostname !== '127.0.0.1') t.fail(`the page asked ${request.url()}`)
  })
  return page
}

export async function look(
  t: Test,
  page: Page,
  {
    url,
    path,
    theme,
    width,
    whole,
  }: { url: string; path: string; theme: string; width: number; whole: boolean },
): Promise<void> {
  await page.goto(url + path)
  await page.locator('main h1').waitFor()
  await page.waitForFunction("document.querySelector('.loading') === null")
  const what = `${path} ${theme} ${width}`
  const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
  t.ok(overflow <= 0, `${what}: nothing scrolls sideways`)
  await page.evaluate(AXE)
  // Colours and sizes are what differs between themes and widths; the rest is read once.
  const rules = whole ? '' : ", runOnly: ['color-contrast', 'target-size', 'link-in-text-block']"
  const found = (await page.evaluate(
    `axe.run(document, { resultTypes: ['violations']${rules} }).then(({ violations }) => violations)`,
  )) as { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[]
  const serious = found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)
  t.same(serious, [], `${what}: axe finds nothing serious`)
  if (SCREENSHOTS) {
    const name = `${path.replace(/\W+/g, '_').slice(0, 30)}-${theme}-${width}.png`
    await page.screenshot({ path: join(SCREENSHOTS, name), fullPage: true })
  }
}
