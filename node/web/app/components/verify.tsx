/** The button that checks a receipt here, and what each step found. */
import { useState } from 'preact/hooks'
import { messageOf } from '../lib/format.ts'
import type { Hex } from '../lib/types.ts'
import type { Check } from '../lib/verify.ts'
import { Icon } from './icon.tsx'
import { Notice } from './state.tsx'

export function Verify({ receiptHash, signature }: { receiptHash: Hex; signature?: Hex }) {
  const [checks, setChecks] = useState<readonly Check[]>([])
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const run = async (): Promise<void> => {
    setChecks([])
    setProblem(null)
    setBusy(true)
    try {
      const { verifyReceipt } = await import('../lib/verify.ts')
      for await (const check of verifyReceipt(receiptHash, signature))
        setChecks((old) => [...old, check])
    } catch (error) {
      setProblem(messageOf(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <div class="verify">
      <button type="button" class="button quiet" disabled={busy} aria-busy={busy} onClick={run}>
        {busy ? <span class="spinner" aria-hidden="true" /> : <Icon name="check" />}
        Verify in this browser
      </button>
      <ol class="checks" aria-live="polite">
        {checks.map(({ name, state, text }) => (
          <li key={name} class={state}>
            <Icon name={state === 'good' ? 'check' : 'warn'} />
            <span>
              <strong>{name}</strong> {text}
            </span>
          </li>
        ))}
      </ol>
      {problem ? <Notice tone="bad">{problem}</Notice> : null}
      {!busy && checks.length > 0 && !problem ? <Verdict checks={checks} /> : null}
    </div>
  )
}

function Verdict({ checks }: { checks: readonly Check[] }) {
  if (checks.some(({ state }) => state === 'bad'))
    return <Notice tone="bad">This receipt does not hold. Do not rely on it.</Notice>
  if (checks.some(({ state }) => state === 'trust'))
    return <Notice tone="warn">All proofs hold; the last root is this node's word so far.</Notice>
  return <Notice tone="good">Everything holds, from the answer's tokens to L1.</Notice>
}
