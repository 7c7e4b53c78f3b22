/**
 * A wallet of the browser (EIP-6963) and an agent: connects, adds the chain, declines, registers the agent, funds its
 * account, limits it, stops it, runs it, signs in for an API key, changes the account, goes.
 */
import type { Browser } from 'playwright-core'
import type { Test } from 'tap'
import { type Abi, encodeFunctionData, parseEther, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import * as contracts from '../../../genesis/contracts.generated.ts'
import { devnetAccount } from '../../../scripts/devnet/accounts.ts'
import { until } from '../../../scripts/devnet/economy.ts'
import type { Wallet } from '../../../scripts/devnet/wallet.ts'
import { InjectedWallet } from '../../support/injected-wallet.ts'
import { open } from '../../support/web-page.ts'

const LONG_MS = 180_000

/** @param alice who has OPEN; @param sponsor what the agent's key will be */
export async function usesAgents(
  t: Test,
  {
    browser,
    url,
    alice,
    sponsor,
  }: { browser: Browser; url: string; alice: Wallet; sponsor: Wallet },
): Promise<void> {
  const injected = new InjectedWallet(privateKeyToAccount(devnetAccount('alice').privateKey))
  const other = privateKeyToAccount(devnetAccount('bob').privateKey)
  const mine = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  await injected.install(mine)
  const tab = await open(mine, t)
  await tab.goto(`${url}/agents/new`)
  await tab.getByRole('button', { name: 'Connect' }).click()
  injected.declineNext()
  await tab.getByRole('button', { name: injected.name }).click()
  await tab.getByText('You declined in').waitFor()
  await tab.getByRole('button', { name: injected.name }).click()
  await tab.getByRole('dialog').waitFor({ state: 'hidden' })

  await tab.getByRole('button', { name: 'Register', exact: true }).click()
  await tab.getByText('An agent needs a name.', { exact: true }).waitFor()
  await tab.getByLabel('Fees').fill('lots')
  await tab.getByText("'lots' is no amount").first().waitFor()
  await tab.getByLabel('Fees').fill('0.05')
  await tab.getByLabel('Answer').fill('16')
  await tab.getByLabel('Name').fill('Coast guide')
  await tab.getByLabel('What it does').fill('Tells tales of the coast.')
  await tab.getByLabel('search the Datanets').check()
  injected.declineNext()
  await tab.getByRole('button', { name: 'Register', exact: true }).click()
  await tab.getByText('You declined in the wallet.').waitFor()
  t.ok(injected.asked.includes('wallet_switchEthereumChain'), 'it was asked to change')
  await tab.getByRole('button', { name: 'Register', exact: true }).click()
  await tab.getByRole('heading', { name: 'Coast guide' }).waitFor()
  t.ok(injected.asked.includes('wallet_addEthereumChain'), 'the chain was added')

  await tab.getByRole('button', { name: 'Make the account' }).click()
  await tab.getByText('open', { exact: true }).waitFor()
  await tab.getByLabel('Amount to fund').fill('2')
  await tab.getByRole('button', { name: 'Fund', exact: true }).click()
  await tab.getByLabel('Amount to take back').waitFor()
  await tab.getByRole('button', { name: 'Set the key' }).click()
  await tab.getByText("'' is no address").first().waitFor()
  await tab.getByLabel('Address of the key').fill(sponsor.address)
  await tab.getByLabel('prepay questions (').check()
  await tab.getByLabel('At a time').fill('9')
  await tab.getByText('no period could hold it').waitFor()
  await tab.getByLabel('At a time').fill('0.5')
  await tab.getByRole('button', { name: 'Set the key' }).click()
  await tab.getByText('may now spend within these limits').waitFor()
  await tab.getByText('InferenceEscrow.deposit').first().waitFor()

  const agentId = BigInt(new URL(tab.url()).pathname.split('/')[2] as string)
  const account = await alice.read<`0x${string}`>({
    address: OPENLEDGER.agentAccounts,
    abi: contracts.AgentAccounts.abi as Abi,
    functionName: 'addressOf',
    args: [alice.address, toHex(agentId, { size: 32 })],
  })
  const prepay = (open: string) =>
    sponsor.send({
      address: account,
      abi: contracts.AgentAccount.abi as Abi,
      functionName: 'execute',
      args: [
        OPENLEDGER.inferenceEscrow,
        parseEther(open),
        encodeFunctionData({ abi: contracts.InferenceEscrow.abi, functionName: 'deposit' }),
      ],
    })
  await prepay('0.1')
  await tab
    .getByRole('table', { name: 'Calls by keys' })
    .getByText('InferenceEscrow.deposit')
    .waitFor()
  await t.rejects(prepay('0.6'), /AboveActionCap/, 'the chain keeps the limit')
  await tab.getByRole('button', { name: 'Stop all spending' }).click()
  await tab.getByText('No key of this account spends anything').waitFor()
  await t.rejects(prepay('0.1'), /IsStopped/)

  await tab.getByRole('tab', { name: 'Actions' }).click()
  await tab.getByRole('button', { name: 'Run', exact: true }).click()
  await tab.getByText('Say what the agent is to do.').waitFor()
  await tab.getByLabel('What is it to do?').fill('The heron of the western')
  await tab.getByRole('button', { name: 'Run', exact: true }).click()
  await tab.getByText('chain of actions holds').waitFor({ timeout: LONG_MS })
  t.equal(
    await tab.getByRole('table', { name: 'Actions of this run' }).locator('tbody tr').count(),
    2,
  )
  await tab.reload()
  await tab.getByText('chain of actions holds').waitFor()
  await tab.getByRole('tab', { name: 'Standing' }).click()
  await tab.getByLabel('Amount to bond').fill('0')
  await tab.getByText('The amount is zero').waitFor()
  await tab.getByLabel('Amount to bond').fill('1')
  await tab.getByRole('button', { name: 'Bond', exact: true }).click()
  await tab.getByText('Done in').waitFor()

  await tab.getByRole('link', { name: 'Agents' }).first().click()
  await tab.getByLabel('Find').fill('nobody like this')
  await tab.getByText("No agent has 'nobody like this'").waitFor()
  await tab.getByLabel('Find').fill('coast TALES')
  await tab.getByRole('link', { name: 'Coast guide' }).waitFor()

  await tab.locator('.wallet-button').click()
  await tab.getByText('API key', { exact: true }).click()
  await tab.getByRole('button', { name: 'Sign in for a key' }).click()
  const key = await tab.getByText(/^sk-ol-/).textContent()
  const who = async () =>
    (await fetch(`${url}/session`, { headers: { authorization: `Bearer ${key}` } })).json()
  t.match(await who(), { account: alice.address.toLowerCase() })
  await tab.keyboard.press('Escape')
  await injected.choose(other, mine)
  await tab.locator('.wallet-name', { hasText: other.address.slice(2, 6).toLowerCase() }).waitFor()
  await until('the end of the session', async () => 'error' in ((await who()) as object))
  await injected.choose(null, mine)
  await tab.getByRole('button', { name: 'Connect' }).waitFor()
  await mine.close()
}
