/**
 * The web app in a real browser on a real devnet: every page in both themes, read by axe; a person who connects, deposits,
 * withdraws, votes; bad input; reload, two tabs, and the node gone and back under the page. With OPENLEDGER_SCREENSHOTS=DIR
 * it leaves pictures of every page at 320 and 1920 px in both themes, to be looked at.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Browser } from 'playwright-core'
import t from 'tap'
import { WEB_DIST } from '../../node/web/route.ts'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { bridge, createRpc, fundEscrow, until } from '../../scripts/devnet/economy.ts'
import { restartRole } from '../../scripts/devnet/roles.ts'
import { type Nodes, startL1, startNodes } from '../../scripts/devnet/stack.ts'
import { createWallet } from '../../scripts/devnet/wallet.ts'
import { launchChromium } from '../support/chromium.ts'
import { workDir } from '../support/dir.ts'
import { connect, look, open, ROWS, rowFile, SCREENSHOTS } from '../support/web-page.ts'
import { sells } from './web/market.ts'
import { judges } from './web/validator.ts'
import { usesAgents } from './web/wallet.ts'

const ANY_PORT = { l1: 0, sequencer: 0, validator: 0 }
/** For what computes: estimates, trainings, epochs. */
const LONG_MS = 180_000
const FIRST_LOAD_BYTES_MAX = 200_000

t.test('the first load is under 200 kB, fonts included', async (t) => {
  t.ok(existsSync(join(WEB_DIST, 'index.html')), "built: run 'npm run build:web' first")
  const index = readFileSync(join(WEB_DIST, 'index.html'), 'utf8')
  const linked = [...index.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(
    ([, path]) => path as string,
  )
  t.ok(linked.some((path) => path.endsWith('.js')))
  const main = readFileSync(
    join(WEB_DIST, linked.find((path) => path.endsWith('.js')) as string),
    'utf8',
  )
  // What the first page adds: its chunk and what that imports.
  const [overview] = main.match(/assets\/overview-[\w-]+\.js/) ?? []
  const styles = linked
    .filter((path) => path.endsWith('.css'))
    .map((path) => readFileSync(join(WEB_DIST, path), 'utf8'))
  const fonts = styles.flatMap((css) =>
    [...css.matchAll(/\/assets\/[\w-]*latin-wght[\w-]*\.woff2/g)].map(([path]) => path),
  )
  const chunks = [`/${overview}`]
  for (const path of chunks) {
    const code = readFileSync(join(WEB_DIST, path), 'utf8')
    for (const [, name] of code.matchAll(/from"\.\/([\w-]+\.js)"/g)) {
      const found = `/assets/${name}`
      if (!linked.includes(found) && !chunks.includes(found)) chunks.push(found)
    }
  }
  const files = ['/index.html', ...linked, ...chunks, ...new Set(fonts)]
  const sizes = files.map((path) => {
    const bytes = readFileSync(join(WEB_DIST, path))
    return path.endsWith('.woff2') ? bytes.length : gzipSync(bytes, { level: 9 }).length
  })
  const total = sizes.reduce((sum, size) => sum + size, 0)
  t.comment(`first load: ${total} bytes in ${files.length} files`)
  t.ok(total < FIRST_LOAD_BYTES_MAX, `${total} bytes`)
})

const browser: Browser | Error = await launchChromium().catch((error: Error) => error)
if (browser instanceof Error) {
  t.test('a person uses the app in a browser', { skip: `NOT TRIED: ${browser.message}` }, () => {})
} else {
  t.test('a person uses the app in a browser', async (t) => {
    t.teardown(() => browser.close())
    const dir = workDir(t)
    const { l1, config } = await startL1(dir, ANY_PORT)
    t.teardown(() => l1.stop())
    const nodes: Nodes = await startNodes(dir, l1, ANY_PORT)
    t.teardown(() => nodes.sequencer.stop())
    t.teardown(() => nodes.validator.stop())
    const { url } = nodes.sequencer
    const alice = createWallet(devnetAccount('alice'), { rpc: url, chainId: config.l2ChainId })
    const holder = devnetAccount('deployer')
    const sponsor = createWallet(devnetAccount('sponsor'), {
      rpc: url,
      chainId: config.l2ChainId,
    })
    const accounts = [holder, ...(['alice', 'provider', 'sponsor'] as const).map(devnetAccount)]
    await bridge(
      { l1Rpc: l1.rpc, config, holder, accounts, openEach: '1000' },
      alice.reader,
      () => {},
    )
    await fundEscrow(sponsor, '100')
    const transfer = await alice.reader.getBlock({ blockTag: 'latest', includeTransactions: true })
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    const page = await open(context, t)

    await t.test('connects an account of the devnet, with its warning', async (t) => {
      await page.goto(url)
      await connect(page, 'deployer')
      await page.reload()
      await page.getByRole('button', { name: /deployer/ }).waitFor()
      await page.getByText('live', { exact: true }).waitFor()
      t.equal(await page.getByRole('button', { name: 'Connect' }).count(), 0, 'after a reload too')
    })

    await t.test('begins a withdrawal', async (t) => {
      await page.goto(`${url}/bridge?tab=withdraw`)
      await page.getByLabel('Amount').fill('1,5x')
      await page.getByText("'1,5x' is no amount").waitFor()
      await page.getByLabel('Amount').fill('99999999')
      await page.getByText('More than there is').waitFor()
      t.ok(await page.getByRole('button', { name: 'Withdraw', exact: true }).isDisabled())
      await page.getByLabel('Amount').fill('3.25')
      await page.getByLabel('To on L1').fill('0x12')
      await page.getByText('An address is 0x').waitFor()
      await page.getByLabel('To on L1').fill('')
      await page.getByRole('button', { name: 'Withdraw', exact: true }).click()
      await page.getByText('Waiting for an output root').waitFor()
      await page.reload()
      await page.getByText('3.25').first().waitFor()
    })

    await t.test('wraps, delegates, proposes and votes', async (t) => {
      await page.goto(`${url}/governance?tab=votes`)
      await page.getByLabel('Amount to wrap').fill('200')
      await page.getByRole('button', { name: 'Wrap', exact: true }).click()
      await page.getByText('does not vote yet').waitFor()
      await page.getByRole('button', { name: 'Delegate', exact: true }).click()
      await page.getByText('yourself', { exact: true }).waitFor()
      await page.getByRole('tab', { name: 'New proposal' }).click()
      await page.getByLabel('To', { exact: true }).fill('many')
      await page.getByText("'many' is no number of seconds").waitFor()
      await page.getByLabel('To', { exact: true }).fill('25')
      await page.getByLabel('Title').fill('Longer votes')
      await page.getByLabel('Why').fill('Twenty seconds are few.')
      await page.getByRole('button', { name: 'Propose' }).click()
      await page.getByText('Done in').waitFor()
      // The same proposal again is refused in words.
      await page.getByLabel('To', { exact: true }).fill('26')
      await page.getByLabel('Title').fill('Longer still')
      await page.getByRole('button', { name: 'Propose' }).click()
      await page.getByText('The contract refuses: proposal under way').waitFor()
      await page.getByRole('tab', { name: 'Proposals' }).click()
      await page.getByRole('link', { name: 'Longer votes' }).click()
      await page.getByRole('button', { name: 'For', exact: true }).click()
      await page.getByText('You have voted').waitFor()
      t.match(await page.locator('.share-bar').textContent(), /For\s*200/)
      await page.goBack()
      await page.getByRole('heading', { name: 'Governance' }).waitFor()
    })

    await t.test(
      'gives rows, trains on them, asks, and sees whose words the answer has',
      async (t) => {
        await page.goto(`${url}/datanets/new`)
        await page.getByLabel('Schema').fill('{"text":"strin"}')
        await page.getByRole('button', { name: 'Create', exact: true }).click()
        await page.getByText('A Datanet needs a name.', { exact: true }).waitFor()
        await page.getByText('it must be "string"').first().waitFor()
        await page.getByLabel('Name').fill('Tales of the coast')
        await page.getByLabel('Schema').fill('{"text":"string"}')
        await page.getByRole('button', { name: 'Create', exact: true }).click()
        await page.getByLabel('File of rows').setInputFiles(rowFile())
        await page.getByText('2 rows are left out').waitFor()
        t.match(await page.getByRole('table').textContent(), /Row 3.*is not JSON.*Row 5.*'text'/)
        await page.getByRole('button', { name: `Contribute ${ROWS.length} rows` }).click()
        await page.getByText('Revealing').waitFor()
        await page.reload()
        // Whether the reveal was already sent or not, the page knows what is left.
        await page
          .getByRole('button', { name: 'Go on' })
          .click({ timeout: 5_000 })
          .catch(() => {})
        await page.getByRole('tab', { name: 'Validation' }).click()
        await page.getByText('accepted', { exact: true }).waitFor()
        await page.getByRole('button', { name: 'Publish a version' }).click()
        await page.getByRole('tab', { name: 'Rows' }).click()
        await page.getByText(ROWS[0] as string).waitFor()
        await page.locator('.histogram li').first().waitFor()

        await page.goto(`${url}/factory/new`)
        await page.getByLabel('Rank').fill('900')
        await page.getByRole('button', { name: 'Estimate' }).click()
        await page.getByText('Choose at least one Datanet').waitFor()
        await page.getByText("'900' must be a whole number from 1 to 64").waitFor()
        await page.getByLabel('Rank').fill('8')
        await page.getByLabel('Name', { exact: true }).fill('coast')
        await page.getByLabel('Tales of the coast').check()
        await page.getByLabel('Epochs').fill('40')
        await page.getByLabel('Batch').fill('4')
        await page.getByLabel('Learning rate').fill('0.005')
        await page.getByRole('button', { name: 'Estimate' }).click()
        await page.getByRole('button', { name: 'Pay and start' }).click({ timeout: LONG_MS })
        await page.getByText('is on the queue').waitFor({ timeout: LONG_MS })
        await page.reload()
        await page.getByText('The model is registered').waitFor({ timeout: LONG_MS })
        t.ok(await page.locator('.chart canvas').isVisible(), 'the curve is there after a reload')
        await page.getByRole('link', { name: 'Its card' }).click()
        await page.getByLabel('A token in').fill('0.0001')
        await page.getByLabel('A token out').fill('0.0003')
        await page.getByRole('button', { name: 'Set the price' }).click()
        await page.getByText('Done in').waitFor()

        await page.getByRole('link', { name: 'Ask it' }).click()
        await page.getByText('Settings').click()
        await page.getByLabel('Form').selectOption('text')
        await page.getByLabel('Most tokens').fill('many')
        await page.getByRole('button', { name: 'Ask', exact: true }).click()
        await page.getByText("'many' must be a whole number").first().waitFor()
        await page.getByLabel('Most tokens').fill('24')
        await page.getByLabel('Text to continue').fill('The heron of the western')
        await page.keyboard.press('Enter')
        await page.locator('.contributor').first().click()
        await page.locator('.detail').getByText('Weight').waitFor()
        t.match(await page.locator('.detail').textContent(), /wei/)
        await page.getByRole('button', { name: 'Verify in this browser' }).click()
        await page.getByText('All proofs hold').or(page.getByText('Everything holds')).waitFor()
        t.equal(await page.locator('.checks .bad').count(), 0, 'no check fails')

        await page.getByLabel('Rows to read first').selectOption('2')
        await page.getByLabel('Text to continue').fill('Which bell rings in the harbour town?')
        await page.keyboard.press('Enter')
        const read = page.locator('.retrieved')
        await read.locator('.row-text').first().waitFor({ timeout: LONG_MS })
        t.match(await read.textContent(), /2 rows read before.*row \d.*score \d.*OPEN/)
        await page.reload()
        await page.locator('.contributor').first().waitFor()
      },
    )

    await t.test('judges contributions as a validator', (t) => judges(t, { browser, page, url }))

    await t.test('sells a Datanet on the market', (t) => {
      const id = new URL(page.url()).pathname.split('/').at(-1) ?? ''
      return sells(t, { browser, page, url, id })
    })

    await t.test('runs an agent with a wallet of the browser', (t) =>
      usesAgents(t, { browser, url, alice, sponsor }),
    )

    await t.test('every page is good to read in both themes, wide and narrow', async (t) => {
      const l2 = await alice.reader.getBlock({ blockNumber: transfer.number })
      const [first] = l2.transactions
      const ask = createRpc(url)
      const [model] = await ask<{ id: string; manifestHash: string }[]>('openledger_listModels')
      const [receipt] = await ask<{ receiptHash: string }[]>('openledger_listReceipts', 1)
      const paths = [
        '/',
        '/blocks',
        `/block/${l2.number}`,
        '/transactions',
        `/tx/${first}`,
        `/address/${holder.address}`,
        '/address/0x4f50454e0000000000000000000000000000000b?tab=contract',
        '/receipts',
        '/receipt/0x0',
        '/deposits',
        '/withdrawals',
        '/batches',
        '/contracts',
        '/network',
        '/bridge',
        '/bridge?tab=withdraw',
        '/governance',
        '/governance?tab=votes',
        '/governance?tab=new',
        '/governance?tab=supply',
        '/playground',
        '/datanets',
        '/datanets/new',
        '/datanet/1',
        '/datanet/1?tab=upload',
        '/datanet/1?tab=terms',
        '/datanet/1?tab=people',
        '/datanet/1?tab=queue',
        '/factory',
        '/factory/new',
        `/job/${model?.manifestHash}`,
        `/model/${model?.id}`,
        '/rewards',
        '/agents',
        '/agents/new',
        '/agent/1',
        '/agent/1?tab=account',
        '/agent/1?tab=standing',
        '/market',
        '/market/agent/1',
        '/errors',
        '/errors/pool-full',
        `/trace/${receipt?.receiptHash}`,
        '/nowhere',
      ]
      for (const [theme, width] of SCREENSHOTS
        ? (['light', 'dark'] as const).flatMap((one) => [[one, 1920] as const, [one, 320] as const])
        : ([
            ['light', 1920],
            ['dark', 320],
          ] as const)) {
        const looked = await browser.newContext({
          viewport: { width, height: width === 320 ? 720 : 1080 },
          colorScheme: theme,
          storageState: await context.storageState(),
          bypassCSP: true,
        })
        const tab = await open(looked, t)
        for (const path of paths)
          await look(t, tab, { url, path, theme, width, whole: theme === 'light' })
        await looked.close()
      }
    })

    await t.test('deposits from L1', async () => {
      await page.goto(`${url}/bridge`)
      await page.getByText(/You have [\d,.]+ OPEN on L1/).waitFor()
      await page.getByLabel('Amount').fill('12.5')
      await page.getByRole('button', { name: 'Deposit', exact: true }).click()
      await page.getByText('Arrived:').waitFor()
    })

    await t.test('finds by search, keyboard alone', async (t) => {
      await page.keyboard.press('/')
      await page.keyboard.type('garbage')
      await page.keyboard.press('Enter')
      await page.getByText("'garbage' is no block number").waitFor()
      await page.keyboard.press('Control+A')
      await page.keyboard.type('5')
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'Block 5' }).waitFor()
      t.equal(new URL(page.url()).pathname, '/block/5')
    })

    await t.test('takes the withdrawal to its end, in another tab', async (t) => {
      const tab = await open(context, t)
      await tab.goto(`${url}/bridge?tab=withdraw`)
      await tab.getByRole('button', { name: 'Prove' }).click()
      await tab.getByRole('button', { name: 'Finalize' }).click({ timeout: 60_000 })
      await tab.getByText('Paid on L1.').waitFor()
      await tab.close()
    })

    await t.test('claims what the rows earned, once their epoch is final', async (t) => {
      await page.goto(`${url}/rewards`)
      await page.getByRole('link', { name: 'follow' }).first().click()
      await page.getByText('5. Proven').waitFor()
      await page.goBack()
      const [csv] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'Export CSV' }).click(),
      ])
      t.match(readFileSync(await csv.path(), 'utf8'), /^time,receipt.*\n.*coast/)
      await page.getByRole('button', { name: /^Claim [\d.]+ OPEN/ }).click({ timeout: LONG_MS })
      await page.getByRole('button', { name: /^Claim/ }).waitFor({ state: 'detached' })
    })

    await t.test('stays while the node is gone, and goes on when it is back', async (t) => {
      await page.goto(`${url}/blocks`)
      await page.getByText('live', { exact: true }).waitFor()
      await page.locator('tbody a.num').first().waitFor()
      const { port } = new URL(url)
      await nodes.sequencer.stop()
      await page.getByText('reconnecting').waitFor()
      t.ok(await page.getByRole('table').isVisible(), 'what was shown is still there')
      const back = await restartRole('sequencer', dir)
      t.teardown(() => back.stop())
      t.equal(new URL(back.url).port, port, 'at the same address')
      await page.getByText('live', { exact: true }).waitFor()
      const rpc = createRpc(back.url)
      const head = Number(await rpc<string>('eth_blockNumber'))
      await until('a newer block on the page', async () => {
        const text = await page.locator('tbody a.num').first().textContent()
        return Number(text?.replaceAll(',', '')) > head
      })
    })
  })
}
