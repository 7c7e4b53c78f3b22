/** Starts the app: styles, theme, router, the newest head, then the shell with its page. */
import '@fontsource-variable/geist/wght.css'
import '@fontsource-variable/geist-mono/wght.css'
import './style/tokens.css'
import './style/base.css'
import './style/components.css'
import './style/shell.css'
import { render } from 'preact'
import { followHead } from './lib/hooks.ts'
import { startRouter } from './lib/router.ts'
import { startTheme } from './lib/theme.ts'
import { Shell } from './shell.tsx'
import { startSession } from './wallet/session.ts'
import { startWallet } from './wallet/wallet.ts'

startTheme()
startRouter()
followHead()
startSession()
startWallet()
render(<Shell />, document.getElementById('app') as HTMLElement)
