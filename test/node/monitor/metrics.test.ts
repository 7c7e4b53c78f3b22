import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { SettledListener } from '../../../node/attribution/ledger.ts'
import { silentLog } from '../../../node/base/log.ts'
import { parseOptions } from '../../../node/configure.ts'
import { Load } from '../../../node/model/load.ts'
import { Metrics } from '../../../node/monitor/metrics.ts'
import { watchNode } from '../../../node/monitor/watch.ts'
import { watchBatcher } from '../../../sequencer/metrics.ts'
import { extend, openTestChain, testConfig } from '../../support/chain.ts'

const OPS = join(import.meta.dirname, '../../../scripts/ops')
/** Prometheus makes these itself, or they are a histogram's or summary's parts. */
const PARTS = /_(bucket|sum|count)$/
const OF_PROMETHEUS = ['up']
/** Words of PromQL, and labels. */
const WORDS =
  /^(sum|by|rate|increase|on|time|histogram_quantile|predict_linear|instance|le|method|kind|head|ref|outcome|direction|state|job|outcome|finished_reason|unless)$/

async function aNode(dir: string) {
  const { chain, close } = await openTestChain(join(dir, 'db'))
  const metrics = new Metrics({ version: '1', role: 'sequencer' }, silentLog)
  const options = parseOptions({ 'data-dir': dir }, {})
  const L1 = { hash: testConfig.genesis.l1.hash, number: 7n }
  const load = new Load(() => 5_000)
  load.begin('orator').first()
  load.begin('poet')
  load.begin(null).end('stop', { in: 3, out: 4 })
  const library = {
    base: { name: 'base' },
    adaptersMax: 8,
    engine: { stats: () => ({ pages: 4, pagesUsed: 1 }) },
  }
  const listeners: ((job: object) => void)[] = []
  const on = (listener: (job: object) => void) => listeners.push(listener)
  const followers: SettledListener[] = []
  const follow = (listener: SettledListener) => followers.push(listener)
  const service = { waiting: 2, totals: load.totals, load, library }
  watchNode(metrics, {
    chain,
    options,
    log: silentLog,
    pool: { status: () => ({ pending: 4, queued: 1 }) } as never,
    p2p: { peers: () => [{ direction: 'outbound' }] } as never,
    pipeline: { status: { currentL1: L1, headL1: null, finalizedL1: null } } as never,
    models: { provider: { service, settler: { waiting: 3 } } } as never,
    ledger: { verdicts: { ok: 5, mismatch: 1 }, follow } as never,
    jobs: { factory: { on } } as never,
    l1: { reader: { agreement: { disagreements: 3, unresolved: null } } },
  })
  const checks: { name: string; run(): unknown }[] = []
  const batcher = {
    address: `0x${'ba'.repeat(20)}`,
    balance: { wei: 10n ** 18n, batches: 7n, isLow: true },
    backlogBytes: 5,
    fatal: null,
  }
  const watch = { metrics, checks, chain, log: silentLog, l1: {} }
  watchBatcher(watch as never, () => batcher as never)
  return {
    chain,
    metrics,
    checks,
    close,
    tell: (job: object) => listeners[0]?.(job),
    settle: (settled: object, removed = false) => followers[0]?.(settled as never, removed),
  }
}

t.test('what happens in the chain is what is measured', async (t) => {
  const { chain, metrics, checks, close, tell, settle } = await aNode(t.testdir())
  t.teardown(close)
  await extend(chain)
  const progress = { phase: 'train', tokensPerSecond: 40 }
  tell({ id: '0x1', state: 'running', progress })
  tell({ id: '0x2', state: 'queued', progress: null })
  for (const _ of [1, 2]) tell({ id: '0x2', state: 'failed', progress: null })
  const receipt = { fee: 2n * 10n ** 18n }
  settle({ receipt, contributors: [{ amount: 10n ** 18n }, { amount: 10n ** 17n }] })
  settle({ receipt, contributors: [] })
  settle({ receipt, contributors: [] }, true)
  metrics.observeRpc('eth_call', 0.003, 'ok')
  const text = await metrics.registry.metrics()
  for (const line of [
    'openledger_block_number{head="unsafe"} 1',
    'openledger_blocks_total 1',
    'openledger_transactions_total 1',
    'openledger_pool_transactions{state="pending"} 4',
    'openledger_peers{direction="outbound"} 1',
    'openledger_l1_block_number{ref="derived"} 7',
    'openledger_l1_disagreements_total 3',
    'openledger_rpc_request_duration_seconds_count{method="eth_call",outcome="ok"} 1',
    'openledger_batcher_balance_ether 1',
    'openledger_batcher_backlog_blocks 1',
    'openledger_inference_tokens_total{direction="out"} 4',
    'openledger_settlement_waiting 3',
    'openledger_receipts_settled_total 2',
    'openledger_receipt_fees_open_total 4',
    'openledger_payout_shares_total 2',
    'openledger_payouts_open_total 1.1',
    'openledger_verdicts_total{outcome="mismatch"} 1',
    'openledger_jobs{state="running"} 1',
    'openledger_jobs{state="queued"} 0',
    'openledger_jobs_finished_total{outcome="failed"} 1',
    'openledger_training_tokens_per_second 40',
    'vllm:num_requests_running{model_name="base"} 1',
    'vllm:num_requests_waiting{model_name="base"} 1',
    'vllm:kv_cache_usage_perc{model_name="base"} 0.25',
    'vllm:generation_tokens_total{model_name="base"} 4',
    'vllm:request_success_total{model_name="base",finished_reason="stop"} 1',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  t.match(
    text,
    /vllm:lora_requests_info\{max_lora="8",running_lora_adapters="orator",waiting_lora_adapters="poet"\} \d/,
  )
  t.match(text, /openledger_database_size_bytes [1-9]/)
  t.match(checks.at(-1)?.run(), /holds 1000000000000000000 wei on L1, enough for 7 batches/)
})

t.test('every metric that a dashboard or an alert names exists', async (t) => {
  const { metrics, close } = await aNode(t.testdir())
  t.teardown(close)
  const known = new Set(metrics.registry.getMetricsAsArray().map(({ name }) => name))
  const boards = readdirSync(join(OPS, 'grafana')).map((name) => ({
    name,
    board: JSON.parse(readFileSync(join(OPS, 'grafana', name), 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[]
    },
  }))
  t.ok(boards.length >= 5)
  const expressions = [
    ...boards.flatMap(({ name, board }) =>
      board.panels.flatMap(({ title, targets }) =>
        targets.map(({ expr }) => ({ where: `${name}: ${title}`, expr })),
      ),
    ),
    ...alertExpressions().map((expr) => ({ where: 'alerts.yml', expr })),
  ]
  const used = new Set<string>()
  for (const { where, expr } of expressions) {
    const names = namesIn(expr)
    t.ok(names.length > 0, `${where} names a metric`)
    for (const name of names) {
      const base = name.replace(PARTS, '')
      t.ok(known.has(name) || known.has(base) || OF_PROMETHEUS.includes(name), `${where}: ${name}`)
      used.add(known.has(name) ? name : base)
    }
  }
  const ours = [...known].filter(
    (name) => name.startsWith('openledger_') && !name.endsWith('_info'),
  )
  t.same(
    ours.filter((name) => !used.has(name)),
    [],
    'and every one of ours is on a dashboard',
  )
})

t.test('names end in their unit and each has a help text', async (t) => {
  const { metrics, close } = await aNode(t.testdir())
  t.teardown(close)
  const UNITLESS =
    /^openledger_(build_info|block_number|l1_block_number|peers|pool_transactions|inference_waiting|settlement_waiting|jobs)$/
  for (const { name, help, type } of await metrics.registry.getMetricsAsJSON()) {
    if (!name.startsWith('openledger_')) continue
    t.match(name, UNITLESS.test(name) ? UNITLESS : /_(seconds|bytes|total|blocks|ether|second)$/)
    t.ok(help.length > 5, name)
    if (String(type) === 'counter') t.match(name, /_total$/)
  }
})

/** The `expr:` of each rule, in both of YAML's spellings that the file uses. */
function alertExpressions(): string[] {
  const text = readFileSync(join(OPS, 'alerts.yml'), 'utf8')
  const rules = text.split(/^ {6}- alert: /m).slice(1)
  const found = rules.map((rule) => rule.match(/^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.+)\n)/m))
  t.equal(found.filter(Boolean).length, rules.length, 'each alert has an expression')
  return found.map((match) => (match?.[1] ?? match?.[2]) as string)
}

function namesIn(expression: string): string[] {
  const bare = expression.replace(/\{[^}]*\}/g, ' ').replace(/\[[^\]]*\]/g, ' ')
  const words = bare.match(/\b[a-zA-Z_][a-zA-Z0-9_:]*/g) ?? []
  return words.filter((word) => !WORDS.test(word))
}
