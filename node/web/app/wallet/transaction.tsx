/**
 * The button of everything that costs a signature: asks for a wallet, shows each stage (trying, in the wallet, on its way,
 * done), and what went wrong in words. `run` gets `stage` to tell where it is and returns what to say at the end.
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Notice } from '../components/state.tsx'
import { Hash } from '../components/value.tsx'
import { messageOf } from '../lib/format.ts'
import type { ContractCall } from './send.ts'
import { connectWallet, useWallet } from './wallet.ts'

type Stage = { readonly text: string } | null

export function ActionButton({
  children,
  run,
  disabled = false,
  primary = true,
}: {
  children: ComponentChildren
  run: (stage: (text: string) => void) => Promise<void>
  disabled?: boolean
  primary?: boolean
}) {
  const wallet = useWallet()
  const [stage, setStage] = useState<Stage>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const shown = useRef(true)
  useEffect(
    () => () => {
      shown.current = false
    },
    [],
  )
  const go = async (): Promise<void> => {
    if (!wallet) return connectWallet()
    setProblem(null)
    setStage({ text: 'Preparing…' })
    try {
      await run((text) => shown.current && setStage({ text }))
    } catch (error) {
      if (shown.current) setProblem(messageOf(error))
    } finally {
      if (shown.current) setStage(null)
    }
  }
  return (
    <div class="action">
      <button
        type="button"
        class={`button ${primary ? 'primary' : 'quiet'}`}
        disabled={disabled || stage !== null}
        aria-busy={stage !== null}
        onClick={go}
      >
        {stage ? <span class="spinner" aria-hidden="true" /> : null}
        {stage ? stage.text : children}
      </button>
      {problem ? <Notice tone="bad">{problem}</Notice> : null}
    </div>
  )
}

/** One call of a contract, from trying to mined. `onDone` gets the hash. */
export function TransactionButton({
  call,
  onDone,
  ...rest
}: {
  children: ComponentChildren
  /** Made when clicked: may throw an Error that says what is wrong with the form. */
  call: () => ContractCall
  onDone?: (hash: `0x${string}`) => void
  disabled?: boolean
  primary?: boolean
}) {
  const [done, setDone] = useState<`0x${string}` | null>(null)
  const run = async (stage: (text: string) => void): Promise<void> => {
    setDone(null)
    const wanted = call()
    const { waitFor, writeContract } = await import('./send.ts')
    stage('Waiting for the signature…')
    const hash = await writeContract(wanted)
    stage('On its way…')
    await waitFor(hash, wanted.chain)
    setDone(hash)
    onDone?.(hash)
  }
  return (
    <>
      <ActionButton {...rest} run={run} />
      {done ? (
        <Notice tone="good">
          Done in <Hash value={done} kind="tx" />
        </Notice>
      ) : null}
    </>
  )
}
