/** The search of the top bar: a block number, a hash, or an address, and on to its page. `/` puts the cursor here. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { navigate } from '../lib/router.ts'
import { findPage } from '../lib/search.ts'
import { toast } from '../lib/toast.ts'
import { Icon } from './icon.tsx'

export function Search() {
  const [text, setText] = useState('')
  const [busy, setBusy] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const typing = (event.target as Element).closest('input, textarea, select, [contenteditable]')
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey) return
      event.preventDefault()
      input.current?.focus()
    }
    addEventListener('keydown', focus)
    return () => removeEventListener('keydown', focus)
  }, [])
  const go = async (event: Event): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    try {
      const found = await findPage(text)
      if ('href' in found) {
        setText('')
        navigate(found.href)
      } else toast('bad', found.problem)
    } catch (error) {
      toast('bad', (error as Error).message)
    } finally {
      setBusy(false)
    }
  }
  return (
    <search class="search">
      <form onSubmit={go}>
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          aria-label="Search block, transaction, address"
          placeholder="Block, transaction, address"
          autocomplete="off"
          spellcheck={false}
          value={text}
          readOnly={busy}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <span class="key" aria-hidden="true">
          /
        </span>
      </form>
    </search>
  )
}
