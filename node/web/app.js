/**
 * The node's page: heads, blocks, receipts, and a question put to a model with the people it paid.
 * Reads only this node's JSON-RPC and OpenAI door; no framework, no third party.
 */
const $ = (id) => document.getElementById(id)
const REFRESH_MS = 2000
const ROWS = 10
let requestId = 0

async function rpc(method, ...params) {
  const response = await fetch('/', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: ++requestId, method, params }),
  })
  const { result, error } = await response.json()
  if (error) throw new Error(`${method}: ${error.message}`)
  return result
}

const short = (hex) => `${hex.slice(0, 10)}…${hex.slice(-6)}`

/** wei to OPEN, exact, without trailing zeros. */
function open(wei) {
  const digits = BigInt(wei).toString().padStart(19, '0')
  const fraction = digits.slice(-18).replace(/0+$/, '')
  return `${digits.slice(0, -18)}${fraction ? `.${fraction}` : ''} OPEN`
}

function element(tag, text, attributes = {}) {
  const node = document.createElement(tag)
  node.textContent = text
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  return node
}

function row(...cells) {
  const tr = document.createElement('tr')
  for (const cell of cells) tr.append(cell instanceof Node ? cell : element('td', cell))
  return tr
}

async function showHeads() {
  const status = await rpc('optimism_syncStatus')
  const entries = [
    ['Unsafe head', status.unsafe_l2.number],
    ['Safe head (from L1)', status.safe_l2.number],
    ['Finalized head', status.finalized_l2.number],
    ['L1 head', status.head_l1.number],
  ]
  $('heads').replaceChildren(
    ...entries.flatMap(([name, value]) => [element('dt', name), element('dd', String(value))]),
  )
  return status.unsafe_l2.number
}

async function showBlocks(head) {
  const numbers = Array.from({ length: Math.min(ROWS, head + 1) }, (_, i) => head - i)
  const blocks = await Promise.all(
    numbers.map((number) => rpc('eth_getBlockByNumber', `0x${number.toString(16)}`, false)),
  )
  $('blocks').replaceChildren(
    ...blocks
      .filter(Boolean)
      .map((block) =>
        row(
          String(Number(block.number)),
          String(block.transactions.length),
          Number(block.gasUsed).toLocaleString('en'),
          element('td', short(block.hash), { title: block.hash }),
        ),
      ),
  )
}

async function showReceipts() {
  const receipts = await rpc('openledger_listReceipts', ROWS)
  $('receipts').replaceChildren(
    ...receipts.map((receipt) =>
      row(
        element('td', short(receipt.receiptHash), { title: receipt.receiptHash }),
        receipt.modelName,
        element('td', open(receipt.fee), { title: `${receipt.fee} wei` }),
        `${receipt.contributors.length} contributors`,
        receipt.verdict ? (receipt.verdict.ok ? 'verified' : 'MISMATCH') : '—',
      ),
    ),
  )
}

async function showModels() {
  const { data } = await (await fetch('/v1/models')).json()
  const names = data.map((model) => model.id)
  if ($('model').options.length === names.length) return
  $('model').replaceChildren(...names.map((name) => element('option', name, { value: name })))
}

function showShares(contributors) {
  $('shares').replaceChildren(
    ...contributors.map(({ account, share, amount }) => {
      const line = element('div', '', { class: 'share' })
      line.append(
        element('span', short(account), { title: account }),
        element('meter', `${(share * 100).toFixed(1)} %`, { min: 0, max: 1, value: share }),
        element('span', open(amount), { title: `${amount} wei` }),
      )
      return line
    }),
  )
}

/** The receipt settles in one of the next blocks; then its payouts can be read. */
async function settled(hash, triesLeft = 30) {
  const receipt = await rpc('openledger_getReceipt', hash)
  if (receipt?.settled) return receipt
  if (triesLeft === 0) throw new Error(`receipt ${hash} has not settled yet`)
  await new Promise((resolve) => setTimeout(resolve, 500))
  return settled(hash, triesLeft - 1)
}

$('ask').addEventListener('submit', async (event) => {
  event.preventDefault()
  const button = event.submitter
  button.disabled = true
  $('answer').className = ''
  $('answer').textContent = 'thinking…'
  $('shares').replaceChildren()
  try {
    const response = await fetch('/v1/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: $('model').value, prompt: $('prompt').value, max_tokens: 48 }),
    })
    const body = await response.json()
    if (!response.ok) throw new Error(body.error.message)
    $('answer').textContent = $('prompt').value + body.choices[0].text
    showShares((await settled(body.id)).contributors)
  } catch (error) {
    $('answer').className = 'error'
    $('answer').textContent = error.message
  } finally {
    button.disabled = false
  }
})

async function refresh() {
  try {
    const head = await showHeads()
    await Promise.all([showBlocks(head), showReceipts(), showModels()])
  } catch (error) {
    $('heads').replaceChildren(
      element('dt', 'Error'),
      element('dd', error.message, { class: 'error' }),
    )
  }
  setTimeout(refresh, REFRESH_MS)
}

refresh()
