/**
 * Serving under vLLM's metric names, so that dashboards and gateways that know vLLM work as they are.
 * https://docs.vllm.ai/en/latest/design/metrics.html
 */
import type { Engine } from '../../native/index.ts'
import type { Finish, Load } from '../model/load.ts'
import type { Metrics } from './metrics.ts'

export type VllmSource = {
  /** Name of the resident base: the one value of `model_name`. */
  readonly modelName: string
  readonly adaptersMax: number
  readonly load: Load
  readonly engine: Pick<Engine, 'stats'>
  /** Unix seconds. */
  now(): number
}

const FIRST_TOKEN_BUCKETS = [
  0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10,
]
const REQUEST_BUCKETS = [0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60]
const FINISHES: readonly Finish[] = ['stop', 'length', 'abort', 'error']

export function watchServing(metrics: Metrics, source: VllmSource): void {
  const { load, engine, modelName: model_name } = source
  const labels = { model_name }
  metrics.sampled(
    'vllm:num_requests_running',
    'Requests that have a token',
    labels,
    () => load.view(true).requests,
  )
  metrics.sampled(
    'vllm:num_requests_waiting',
    'Requests that wait for their first',
    labels,
    () => load.view(false).requests,
  )
  const usage = (): number => {
    const { pages, pagesUsed } = engine.stats()
    return pages === 0 ? 0 : pagesUsed / pages
  }
  metrics.sampled(
    'vllm:kv_cache_usage_perc',
    'Part of the KV cache in use; 1 is all',
    labels,
    usage,
  )
  metrics.info(
    'vllm:lora_requests_info',
    'Adapters of running and waiting requests; the value is the time',
    () => ({
      labels: {
        max_lora: String(source.adaptersMax),
        running_lora_adapters: load.view(true).adapters.join(','),
        waiting_lora_adapters: load.view(false).adapters.join(','),
      },
      value: source.now(),
    }),
  )
  metrics.totalsOf('vllm:prompt_tokens_total', 'Prompt tokens of answered requests', () => [
    { labels, value: load.totals.tokensIn },
  ])
  metrics.totalsOf('vllm:generation_tokens_total', 'Tokens of answers', () => [
    { labels, value: load.totals.tokensOut },
  ])
  metrics.totalsOf('vllm:request_success_total', 'Requests by what ended them', () =>
    FINISHES.map((finished_reason) => ({
      labels: { ...labels, finished_reason },
      value: load.totals.finished[finished_reason],
    })),
  )
  const first = metrics.histogram(
    'vllm:time_to_first_token_seconds',
    'From the request to its first token',
    { labels, buckets: FIRST_TOKEN_BUCKETS },
  )
  const whole = metrics.histogram('vllm:e2e_request_latency_seconds', 'Whole requests', {
    labels,
    buckets: REQUEST_BUCKETS,
  })
  load.onServed(({ seconds, secondsToFirst }) => {
    whole(seconds)
    if (secondsToFirst !== null) first(secondsToFirst)
  })
}
