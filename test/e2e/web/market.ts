/** A Datanet on the market: offered by its owner, licensed and bought by somebody else, the price drawn. */
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import { connect, open } from '../../support/web-page.ts'

/** @param page of who owns the Datanet @param id of the Datanet */
export async function sells(
  t: Test,
  { browser, page, url, id }: { browser: Browser; page: Page; url: string; id: string },
): Promise<void> {
  await page.goto(`${url}/market`)
  await page.getByText('Nothing is offered').waitFor()
  await page.getByLabel('Kind').selectOption('datanet')
  await page.getByLabel('Price', { exact: true }).fill('cheap')
  await page.getByRole('button', { name: 'Offer', exact: true }).click()
  await page.getByText('A number from 1 on.').first().waitFor()
  await page.getByText("'cheap' is no amount of OPEN.").first().waitFor()
  await page.getByLabel('Which one').fill(id)
  await page.getByLabel('Price', { exact: true }).fill('1.5')
  await page.getByLabel('Price of a licence').fill('0.25')
  await page.getByRole('button', { name: 'Offer', exact: true }).click()
  await page.getByRole('button', { name: 'Take it back' }).waitFor()
  t.equal(await page.getByRole('button', { name: 'Buy' }).count(), 0, 'nobody buys of himself')

  const buyer = await open(await browser.newContext(), t)
  await buyer.goto(`${url}/market`)
  await connect(buyer, 'alice')
  await buyer.getByRole('link', { name: 'Judged' }).click()
  await buyer.getByRole('button', { name: 'License' }).click()
  await buyer.getByText('You may use it until').waitFor()
  await buyer.getByRole('button', { name: 'Buy' }).click()
  await buyer.getByText('is yours').waitFor()
  t.equal(new URL(buyer.url()).pathname, `/datanet/${id}`)
  await buyer.context().close()

  await page.goto(`${url}/market`)
  await page.getByText('Nothing is offered').waitFor()
  await page.getByText('1.75').waitFor()
  await page.getByRole('button', { name: 'Withdraw' }).click()
  await page.getByText('Done in').waitFor()
}
