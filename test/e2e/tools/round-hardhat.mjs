/**
 * A full round with Hardhat's own network connection: its provider fills in, signs with a configured key,
 * sends and waits. Runs inside a Hardhat project; reads its task from standard input.
 */
import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'

const setup = JSON.parse(await text(process.stdin))
const { createHardhatRuntimeEnvironment } = await import('hardhat/hre')
const hre = await createHardhatRuntimeEnvironment({
  networks: {
    openledger: { type: 'http', url: setup.url, accounts: [setup.privateKey] },
  },
})
const { provider } = await hre.network.connect({ network: 'openledger' })
const request = (method, ...params) => provider.request({ method, params })
const [from] = await request('eth_accounts')
assert.equal(Number(await request('eth_chainId')), setup.chainId)

async function send(fields) {
  const hash = await request('eth_sendTransaction', { from, ...fields })
  for (let tries = 0; tries < 300; tries++) {
    const receipt = await request('eth_getTransactionReceipt', hash)
    if (receipt) {
      assert.equal(receipt.status, '0x1')
      return receipt
    }
    await delay(200)
  }
  throw new Error(`no receipt of ${hash} within a minute`)
}

const { contractAddress } = await send({ data: setup.deployment })
const word = (value) => BigInt(value).toString(16).padStart(64, '0')
const read = (data) => request('eth_call', { to: contractAddress, data }, 'latest')
assert.equal(BigInt(await read('0x18160ddd')), 10n ** 27n, 'totalSupply')
const to = `0x${'43'.repeat(20)}`
const moved = await send({ to: contractAddress, data: `0xa9059cbb${word(to)}${word(5)}` })
assert.equal(BigInt(await read(`0x70a08231${word(to)}`)), 5n, 'balanceOf')
assert.equal(moved.logs.length, 1)
const plain = await send({ to, value: '0x7' })
await assert.rejects(
  request('eth_estimateGas', {
    from,
    to: contractAddress,
    data: `0xa9059cbb${word(to)}${word(10n ** 28n)}`,
  }),
)
console.log(
  JSON.stringify({
    contract: contractAddress,
    gasUsed: [moved, plain].map((r) => Number(r.gasUsed)),
  }),
)
