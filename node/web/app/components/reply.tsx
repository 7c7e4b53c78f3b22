/** One model's answer: as it streams, then coloured once its receipt is settled, and verified on demand. */
import { useEffect, useState } from 'preact/hooks'
import type { Attribution } from '../lib/attribution.ts'
import { integer } from '../lib/format.ts'
import { useCall, useHead } from '../lib/hooks.ts'
import { call } from '../lib/rpc.ts'
import type { Reply } from '../lib/turns.ts'
import type { Hex, ReceiptView } from '../lib/types.ts'
import { ColouredAnswer } from './coloured-answer.tsx'
import { Failure, Notice } from './state.tsx'
import { Badge } from './value.tsx'
import { Verify } from './verify.tsx'

export function ReplyCard({ reply }: { reply: Reply }) {
  const { model, text, error, answered } = reply
  return (
    <section class="card reply" aria-label={`Answer of ${model}`}>
      <header class="card-head">
        <h3>{model}</h3>
        <span class="card-more num">
          {answered ? (
            `${integer(answered.tokensIn)} → ${integer(answered.tokensOut)} tokens`
          ) : error ? null : (
            <Badge tone="accent">writing</Badge>
          )}
        </span>
      </header>
      <div class="card-body stack">
        {error ? <Notice tone="bad">{error}</Notice> : null}
        {answered ? (
          <Settled hash={answered.receiptHash} signature={answered.signature} text={text} />
        ) : (
          <p class="answer-text" aria-live="polite">
            {text}
            {error ? null : <span class="caret" aria-hidden="true" />}
          </p>
        )}
      </div>
    </section>
  )
}

/** Asks after each block until the receipt is settled. */
function useSettled(hash: Hex): { receipt: ReceiptView | null; error: Error | null } {
  const head = useHead()
  const [receipt, setReceipt] = useState<ReceiptView | null>(null)
  const [error, setError] = useState<Error | null>(null)
  const done = receipt?.verdict != null
  useEffect(() => {
    if (done) return undefined
    let left = false
    call<ReceiptView | null>('openledger_getReceipt', hash).then(
      (found) => {
        if (left) return
        setError(null)
        if (found) setReceipt(found)
      },
      (failure: Error) => left || setError(failure),
    )
    return () => {
      left = true
    }
  }, [hash, head, done])
  return { receipt, error }
}

function Settled({ hash, signature, text }: { hash: Hex; signature: Hex; text: string }) {
  const { receipt, error } = useSettled(hash)
  const attribution = useCall<Attribution>(
    'openledger_getAttribution',
    receipt ? [hash] : null,
    'once',
  )
  return (
    <>
      {attribution.data && receipt ? (
        <ColouredAnswer of={attribution.data} receipt={receipt} />
      ) : (
        <>
          <p class="answer-text">{text}</p>
          {error || attribution.error ? (
            <Failure error={(error ?? attribution.error) as Error} retry={attribution.reload} />
          ) : (
            <p class="hint" role="status">
              <span class="spinner" aria-hidden="true" />{' '}
              {receipt ? 'Finding whose words these are…' : 'Its receipt is being settled…'}
            </p>
          )}
        </>
      )}
      {receipt ? (
        <div class="button-row">
          <Verify receiptHash={hash} signature={signature} />
          <a class="button quiet" href={`/receipt/${hash}`}>
            Receipt
          </a>
          <a class="button quiet" href={`/trace/${hash}`}>
            Follow the money
          </a>
        </div>
      ) : null}
    </>
  )
}
