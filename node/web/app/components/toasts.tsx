/** Shows the messages of `lib/toast.ts`. */

import { useStore } from '../lib/store.ts'
import { dismiss, toasts } from '../lib/toast.ts'
import { Icon } from './icon.tsx'

export function Toasts() {
  const shown = useStore(toasts)
  return (
    <div class="toasts" role="log" aria-live="polite" aria-label="Messages">
      {shown.map(({ id, kind, text, href }) => (
        <div key={id} class={`toast ${kind}`}>
          <p>
            {text} {href ? <a href={href}>Look</a> : null}
          </p>
          <button
            type="button"
            class="icon-button small"
            aria-label="Dismiss"
            onClick={() => dismiss(id)}
          >
            <Icon name="close" size={13} />
          </button>
        </div>
      ))}
    </div>
  )
}
