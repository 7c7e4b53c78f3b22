/** A validator in the browser: pictures and rows come, one contribution is accepted and one refused, by scores committed, then revealed. */
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import { devnetAccount } from '../../../scripts/devnet/accounts.ts'
import { png, wav } from '../../support/media.ts'
import { connect, fileOf, open, ROWS } from '../../support/web-page.ts'

/** Long enough for two scores on a slow machine. */
const VOTE_SECONDS = 40
const LONG_MS = 180_000

const file = (name: string, buffer: Buffer) => ({ name, mimeType: '', buffer })
const PICTURES = [
  file('a.png', png(40, 30, [20, 40, 160])),
  file('a.txt', Buffer.from('A blue flag.')),
  file('b.wav', wav(220, 0.5)),
  file('b.txt', Buffer.from('A low tone.')),
  file('c.png', png(2, 2, [9, 9, 9])),
]

/** @param page of a person who is connected */
export async function judges(
  t: Test,
  { browser, page, url }: { browser: Browser; page: Page; url: string },
): Promise<void> {
  await page.goto(`${url}/datanets/new`)
  await page.getByLabel('Name').fill('Judged')
  await page.getByLabel('Schema').fill('{"text":"string","media":"any?"}')
  await page.getByLabel('Accounts').fill('0x12')
  await page.getByLabel('Part of each fee').fill('101')
  await page.getByLabel('Ends on').fill('yesterday')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await page.getByText("'0x12' is no address").first().waitFor()
  await page.getByText("'101' must be a whole number from 0 to 100").first().waitFor()
  await page.getByText("'yesterday' is no day to come").first().waitFor()
  await page.getByLabel('Part of each fee').fill('50')
  await page.getByLabel('Ends on').fill('')
  await page.getByLabel('Accounts').fill(devnetAccount('provider').address)
  await page.getByLabel('Scores needed').selectOption('1')
  await page.getByLabel('Time to vote').fill('0')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await page.getByText("'0' must be a whole number from 1").first().waitFor()
  await page.getByLabel('Time to vote').fill(String(VOTE_SECONDS))
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  for (const files of [[fileOf('part.jsonl', ROWS.slice(0, 2))], PICTURES]) {
    await page.getByLabel('File of rows').setInputFiles(files)
    if (files === PICTURES) await page.getByText('c.png: has no caption: drop c.txt too').waitFor()
    await page.getByRole('button', { name: 'Contribute 2 rows' }).click()
    await page.getByText('1 contribution is yours').waitFor()
    await page.getByText('1 contribution is yours').waitFor({ state: 'detached' })
  }
  const judge = await open(await browser.newContext(), t)
  await judge.goto(page.url().replace(/\?.*/, '?tab=queue'))
  await connect(judge, 'provider')
  await judge.getByRole('button', { name: 'Commit the score' }).first().waitFor()
  // What is judged is there to be seen and heard; the policy of the page lets it.
  await judge.getByText(ROWS[0] as string).waitFor()
  const picture = judge.getByAltText('A blue flag.')
  await picture.scrollIntoViewIfNeeded()
  await judge.waitForFunction("document.querySelector('.media img').naturalWidth === 40")
  const sound = judge.getByLabel('A low tone.')
  await judge.waitForFunction("document.querySelector('audio').duration > 0")
  t.match(await sound.getAttribute('src'), /^\/media\/0x/)
  const scores = judge.getByLabel('Score')
  await scores.first().fill('101')
  await judge.getByText("'101' must be a whole number from 0 to 100").first().waitFor()
  for (const score of ['90', '5']) {
    await judge.getByLabel('Score').first().fill(score)
    await judge.getByRole('button', { name: 'Commit the score' }).first().click()
    await judge.getByText(`You committed ${score} of 100`).waitFor()
  }
  // The score lies in the browser until the reveal, and a reload loses nothing.
  await judge.reload()
  for (const score of ['90', '5'])
    await judge.getByRole('button', { name: `Reveal ${score} of 100` }).click({ timeout: LONG_MS })
  for (const outcome of ['accepted, 90 of 100', 'rejected, 5 of 100']) {
    await judge
      .getByRole('button', { name: 'Conclude the round' })
      .first()
      .click({ timeout: LONG_MS })
    await judge
      .getByText(/(accepted|rejected), \d+ of 100/)
      .first()
      .waitFor()
    t.comment(outcome)
  }
  await judge.getByText('accepted, 90 of 100').waitFor()
  await judge.getByText('rejected, 5 of 100').waitFor()
  await judge.context().close()
}
