/**
 * A newcomer with a stopwatch: a fresh clone, `npm start`, and then clicks alone, until rows of their own have earned and
 * the earnings are claimed. Not part of `npm test`, since it builds everything anew:
 *
 *   npm run test:newcomer              of the commit that is checked out
 *
 * Each step's time is printed; status 1 when the whole took longer than ten minutes.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { launchChromium } from '../support/chromium.ts'
import { connect, fileOf, ROWS } from '../support/web-page.ts'

const WHOLE_MS_MAX = 10 * 60_000
/** A busy machine is waited for: what it took is said all the same. */
const WAIT_MS = 40 * 60_000
const root = join(import.meta.dirname, '../..')
const dir = mkdtempSync(join(tmpdir(), 'openledger-newcomer-'))
const clone = join(dir, 'openledger')
const started = performance.now()
let before = started

function done(what: string): void {
  const now = performance.now()
  const seconds = (ms: number) => (ms / 1000).toFixed(1).padStart(7)
  console.log(`${seconds(now - started)} s ${seconds(now - before)} s  ${what}`)
  before = now
}

async function appears(what: () => boolean): Promise<void> {
  const until = performance.now() + WAIT_MS
  while (!what()) {
    if (performance.now() > until) throw new Error('it took too long')
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

console.log(
  `${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}; seconds since the start, and of the step`,
)
execFileSync('git', ['clone', '--quiet', root, clone])
done('git clone')
const child = spawn('npm', ['start'], {
  cwd: clone,
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
})
/** As Ctrl-C does, which goes to npm and to what it runs. */
const press = (signal: NodeJS.Signals): boolean => process.kill(-(child.pid as number), signal)
let printed = ''
child.stdout.on('data', (chunk: Buffer) => {
  printed += chunk
})
let ended = false
child.once('exit', () => {
  ended = true
})
const browser = await launchChromium()
try {
  const endpoints = join(clone, '.devnet/endpoints.json')
  await appears(() => ended || existsSync(endpoints))
  done('npm start has built everything; the node and its web app are up')
  await appears(() => ended || /stays up|Ctrl-C/.test(printed))
  if (ended) throw new Error(`npm start ended: ${printed.slice(-1_000)}`)
  done('the first inference of its own is paid, attributed, verified')
  const { web } = JSON.parse(readFileSync(endpoints, 'utf8')) as { web: string }
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  page.setDefaultTimeout(WAIT_MS)
  await clicks(page, web)
  const whole = performance.now() - started
  console.log(`load ${loadavg()[0]?.toFixed(1)} at the end`)
  if (whole > WHOLE_MS_MAX) process.exitCode = 1
} finally {
  await browser.close()
  if (!ended) press('SIGINT')
  await appears(() => ended).catch(() => press('SIGKILL'))
  rmSync(dir, { recursive: true, force: true })
}

/** What a person who knows nothing but the pages' own words would press. */
async function clicks(page: Page, web: string): Promise<void> {
  const button = (name: string | RegExp) =>
    page.getByRole('button', { name, exact: typeof name === 'string' })
  await page.goto(web)
  await connect(page, 'bob')
  done('connected as bob')
  await page.getByRole('link', { name: 'Datanets' }).click()
  await page.getByRole('link', { name: 'Create a Datanet' }).click()
  await page.getByLabel('Name').fill('Tales of the coast')
  await button('Create').click()
  await page.getByLabel('File of rows').setInputFiles(fileOf('tales.jsonl', ROWS))
  await button(`Contribute ${ROWS.length} rows`).click()
  await page.getByText('1 contribution is yours').waitFor()
  await button('Publish a version').click()
  await page.getByText('Version 1 is published').waitFor()
  done('my rows stand in a Datanet of mine')
  await page.getByRole('link', { name: 'ModelFactory' }).click()
  await page.getByRole('link', { name: 'Train a model' }).click()
  await page.getByLabel('Name', { exact: true }).fill('coast')
  await page.getByLabel('Tales of the coast').check()
  await page.getByLabel('Epochs').fill('40')
  await page.getByLabel('Batch').fill('4')
  await page.getByLabel('Learning rate').fill('0.005')
  await button('Estimate').click()
  await button('Pay and start').click()
  await page.getByText('The model is registered').waitFor()
  done('a model is trained on them')
  await page.getByRole('link', { name: 'Its card' }).click()
  await page.getByLabel('A token in').fill('0.0001')
  await page.getByLabel('A token out').fill('0.0003')
  await button('Set the price').click()
  await page.getByText('Done in').waitFor()
  await page.getByRole('link', { name: 'Ask it' }).click()
  await page.getByText('Settings').click()
  await page.getByLabel('Form').selectOption('text')
  await page.getByLabel('Text to continue').fill('The heron of the western')
  await page.keyboard.press('Enter')
  await page.locator('.contributor').first().waitFor()
  done('it answers, coloured by whose words they are')
  await page.getByRole('link', { name: 'Rewards' }).click()
  await button(/^Claim [\d.]+ OPEN/).click()
  await page.getByText('OPEN are yours').waitFor()
  done('I was paid for my data')
}
